using System.Text.Json;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>Which events an endpoint receives by their content and what it is sent of them. Filter and template are compiled when the first event needs them.</summary>
internal sealed class PayloadSettings
{
    private readonly Lazy<(ContentFilter? Filter, PayloadTemplate? Template, string? Problem)> _compiled;

    private PayloadSettings(Func<(ContentFilter?, PayloadTemplate?, string?)> compile) => _compiled = new(compile);

    /// <summary>Every event, byte for byte.</summary>
    public static PayloadSettings Plain { get; } = Of(new DeliverySettings());

    public bool HasFilter { get; private init; }

    public bool Gzip { get; private init; }

    public bool Structured { get; private init; }

    public ContentFilter? Filter => _compiled.Value.Filter;

    public PayloadTemplate? Template => _compiled.Value.Template;

    /// <summary>Why nothing may be sent, or null: SQL lets no such setting in, but another version of it may know more than this worker.</summary>
    public string? Problem => _compiled.Value.Problem;

    public static PayloadSettings Of(DeliverySettings settings) => new(() => Compile(settings.ContentFilter, settings.PayloadTemplate))
    {
        HasFilter = settings.ContentFilter is not null,
        Gzip = settings.ContentEncoding == "gzip",
        Structured = settings.CloudeventsMode == "structured",
    };

    /// <summary>Settings under which nothing is sent, for a reason that goes on record.</summary>
    public static PayloadSettings Refused(string problem) => new(() => (null, null, problem));

    private static (ContentFilter?, PayloadTemplate?, string?) Compile(string? filter, JsonElement? template)
    {
        try
        {
            return (filter is null ? null : Compile(filter), template is { } given ? PayloadTemplate.Compile(given) : null, null);
        }
        catch (FormatException e)
        {
            return (null, null, e.Message);
        }
    }

    private static ContentFilter Compile(string filter)
    {
        try
        {
            return ContentFilter.Compile(filter);
        }
        catch (FormatException e)
        {
            throw new FormatException("content_filter: " + e.Message, e);
        }
    }
}
