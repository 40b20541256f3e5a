using System.Runtime.CompilerServices;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Text with holes that are filled when the application runs.</summary>
public class ReferenceExpression : IExpressionValue, IValueWithReferences
{
    public static readonly ReferenceExpression Empty = new([]);

    private readonly IReadOnlyList<ExpressionPart> _parts;

    internal ReferenceExpression(IEnumerable<ExpressionPart> parts) => _parts = [.. parts];

    public IReadOnlyList<IValueProvider> ValueProviders => [.. _parts.Select(static part => part.Value).OfType<IValueProvider>()];

    public string ValueExpression => string.Concat(_parts.Select(static part => part.Expression));

    IEnumerable<object> IValueWithReferences.References => ValueProviders;

    public static ReferenceExpression Create(in ExpressionInterpolatedStringHandler handler) => new(handler.Parts);

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken) => GetValueAsync(new ValueProviderContext(), cancellationToken);

    public async ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken)
    {
        if (_parts.Count == 0)
        {
            return null;
        }

        var text = new string?[_parts.Count];
        for (var i = 0; i < text.Length; i++)
        {
            text[i] = await _parts[i].GetTextAsync(context, cancellationToken).ConfigureAwait(false);
        }

        return string.Concat(text);
    }

    [InterpolatedStringHandler]
    public ref struct ExpressionInterpolatedStringHandler(int literalLength, int formattedCount)
    {
        internal List<ExpressionPart> Parts { get; } = new(formattedCount + (literalLength > 0 ? 1 : 0));

        public readonly void AppendLiteral(string value) => Parts.Add(new(value));

        public readonly void AppendFormatted(string? value) => Parts.Add(new(value));

        public readonly void AppendFormatted(string? value, string? format = null) => Parts.Add(new(ExpressionPart.Format(value, format)));

        public void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => Parts.Add(new(valueProvider));

        public void AppendFormatted<T>(T valueProvider, string? format = null)
            where T : IValueProvider, IManifestExpressionProvider => Parts.Add(new(valueProvider, format));

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider)
            where T : IResource, IValueProvider, IManifestExpressionProvider => Parts.Add(new(valueProvider.Resource));

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider, string? format = null)
            where T : IResource, IValueProvider, IManifestExpressionProvider => Parts.Add(new(valueProvider.Resource, format));
    }
}

/// <summary>Builds a <see cref="ReferenceExpression"/> piece by piece.</summary>
public class ReferenceExpressionBuilder
{
    private readonly List<ExpressionPart> _parts = [];

    public bool IsEmpty => _parts.Count == 0;

    public void Append([InterpolatedStringHandlerArgument("")] in ReferenceExpressionBuilderInterpolatedStringHandler handler)
    {
    }

    public void AppendLiteral(string value) => _parts.Add(new(value));

    public void AppendFormatted(string? value) => _parts.Add(new(value));

    public void AppendFormatted(string? value, string? format = null) => _parts.Add(new(ExpressionPart.Format(value, format)));

    public void AppendFormatted<T>(T valueProvider)
        where T : IValueProvider, IManifestExpressionProvider => _parts.Add(new(valueProvider));

    public void AppendFormatted<T>(T valueProvider, string? format)
        where T : IValueProvider, IManifestExpressionProvider => _parts.Add(new(valueProvider, format));

    public ReferenceExpression Build() => new(_parts);

    [InterpolatedStringHandler]
    public ref struct ReferenceExpressionBuilderInterpolatedStringHandler(int literalLength, int formattedCount, ReferenceExpressionBuilder builder)
    {
        private readonly int _expected = literalLength + formattedCount;

        public readonly void AppendLiteral(string value)
        {
            if (_expected > 0)
            {
                builder.AppendLiteral(value);
            }
        }

        public readonly void AppendFormatted(string? value) => builder.AppendFormatted(value);

        public void AppendFormatted(string? value, string format) => builder.AppendFormatted(value, format);

        public void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => builder.AppendFormatted(valueProvider);

        public void AppendFormatted<T>(T valueProvider, string? format)
            where T : IValueProvider, IManifestExpressionProvider => builder.AppendFormatted(valueProvider, format);

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider)
            where T : IResource, IValueProvider, IManifestExpressionProvider => builder.AppendFormatted(valueProvider.Resource);

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider, string? format)
            where T : IResource, IValueProvider, IManifestExpressionProvider => builder.AppendFormatted(valueProvider.Resource, format);
    }
}

internal readonly record struct ExpressionPart(object? Value, string? ValueFormat = null)
{
    public string? Expression => Value is IManifestExpressionProvider provider ? provider.ValueExpression : Value as string;

    public static string? Format(string? value, string? format) => (value, format?.ToLowerInvariant()) switch
    {
        (null, _) or (_, null) => value,
        (_, "uri") => Uri.EscapeDataString(value),
        _ => throw new FormatException($"Unknown format '{format}'."),
    };

    public async ValueTask<string?> GetTextAsync(ValueProviderContext context, CancellationToken cancellationToken) =>
        Value is IValueProvider provider
            ? Format(await provider.GetValueAsync(context, cancellationToken).ConfigureAwait(false), ValueFormat)
            : Value as string;
}
