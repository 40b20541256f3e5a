using System.Globalization;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Where a row goes, decided anew at each attempt: a stream may have been defined since the row was written.</summary>
/// <param name="Config">Name of the NATS configuration.</param>
/// <param name="Stream">The stream it must land in.</param>
/// <param name="Gate">
/// What is unavailable together: the stream, or, where no definition has the subject, that subject alone. Else a subject nobody
/// has a stream for would hold up the configuration's own stream.
/// </param>
internal readonly record struct Destination(string Config, string Stream, string Gate)
{
    public static Destination Of(ConfigSnapshot snapshot, OutboxRow row) => Of(snapshot, row.ConfigId, row.Subject, row.Stream);

    /// <param name="parked">Format: <c>&lt;config_id&gt;/&lt;subject&gt;</c>, without the id for "default".</param>
    public static Destination OfParked(ConfigSnapshot snapshot, string parked)
    {
        var slash = parked.IndexOf('/', StringComparison.Ordinal);
        int? configId = slash > 0 ? int.Parse(parked.AsSpan(0, slash), CultureInfo.InvariantCulture) : null;
        return Of(snapshot, configId, parked[(slash + 1)..], stream: null);
    }

    private static Destination Of(ConfigSnapshot snapshot, int? configId, string subject, string? stream)
    {
        var config = configId is { } id ? snapshot.ConfigsById.GetValueOrDefault(id) : snapshot.ConfigsByName.GetValueOrDefault(ConnectionNames.DefaultConfig);
        var name = config?.Name ?? ConnectionNames.DefaultConfig;
        return config is not null && snapshot.StreamFor(config.Id, subject) is { } defined
            ? new(name, defined.Name, $"{name}/{defined.Name}")
            : new(name, stream ?? config?.StreamName ?? StreamNames.Webhooks, $"{name}//{subject}");
    }
}
