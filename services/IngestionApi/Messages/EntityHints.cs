using System.Buffers;
using System.Globalization;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Messages;

/// <summary>
/// The entity that a document is sent as: by path, header or its own field <c>entity_type</c>. Whether there is one of that name, the subject that follows from it, and, for entities that
/// say so, whether the document is what the entity says.
/// </summary>
internal sealed class EntityHints(EntityFolder folder)
{
    public const string FieldName = "entity_type";

    private const string UnknownEntity = "unknown_entity";
    private const string DefaultSubject = StreamNames.IngestSubjectPrefix + "default";
    private const int LongestName = 64;

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    private volatile View _view = View.Of(EntityCatalog.Empty);

    /// <summary>The entities that documents can be sent as.</summary>
    public IEnumerable<string> Roots => folder.Current.Roots.Select(root => root.Name);

    /// <summary>The entity of a name or prefix that a client gave.</summary>
    /// <param name="given">The name.</param>
    /// <param name="field">Where it was given.</param>
    /// <param name="entity">The entity's own name; without definitions, what was given.</param>
    /// <returns>Null: documents may be sent as it.</returns>
    public Refusal? Find(string given, string field, out string? entity)
    {
        entity = null;
        var catalog = folder.Current;
        if (catalog.Roots.Count > 0)
        {
            entity = catalog.Find(given) is { Kind: EntityKind.Root } root ? root.Name : null;
            return entity is null ? new(422, UnknownEntity, field, "documents are not sent as an entity of this name", $"Name one of {Names(catalog)}, or none.") : null;
        }

        entity = given;
        return given.Length is 0 or > LongestName || given.AsSpan().ContainsAnyExcept(NameCharacters)
            ? new(422, UnknownEntity, field, "the name of an entity has 1 to 64 of A-Z, a-z, 0-9, _ and -", "Name an entity, or none.")
            : null;
    }

    /// <summary>Null: two places name the same one.</summary>
    public static Refusal? CheckSame(string one, string oneField, string other, string otherField) => one == other
        ? null
        : new(422, "entity_contradicts", otherField, $"{otherField} names another entity than {oneField}", "Name the entity once, or the same everywhere.");

    /// <summary>Finds the entity of a document, and checks the document where the API is to do so. Null: it is taken.</summary>
    /// <param name="terms">What path and header say.</param>
    /// <param name="document">JSON that <see cref="PayloadRules"/> has passed.</param>
    /// <param name="entity">The entity; null where none is named.</param>
    public Refusal? Resolve(ClientTerms terms, ReadOnlyMemory<byte> document, out string? entity)
    {
        entity = terms.Entity;
        if (InDocument(document.Span) is { } given)
        {
            if (Find(given, FieldName, out var named) is { } unknown)
            {
                return unknown;
            }

            if (entity is not null && CheckSame(entity, terms.EntityField, named!, FieldName) is { } contradiction)
            {
                return contradiction;
            }

            entity = named;
        }

        return Validate(document, entity);
    }

    /// <summary>The subject of an entity that <see cref="Find"/> gave.</summary>
    public string SubjectOf(string? entity) => entity is not null && Current().Subjects.TryGetValue(entity, out var subject) ? subject : DefaultSubject;

    /// <summary>The string of the document's own field <c>entity_type</c>; null where it has none.</summary>
    public static string? InDocument(ReadOnlySpan<byte> document)
    {
        // Few documents have it, and this looks at 32 bytes at a time.
        if (document.IndexOf("\"entity_type\""u8) < 0)
        {
            return null;
        }

        var reader = new Utf8JsonReader(document);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals("entity_type"u8);
            reader.Read();
            if (found)
            {
                return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            }

            reader.Skip();
        }

        return null;
    }

    private Refusal? Validate(ReadOnlyMemory<byte> document, string? entity)
    {
        var view = Current();
        if (!view.Validates || (entity is not null && !IsOurs(view.Reader.Catalog.Find(entity))))
        {
            return null;
        }

        var reading = view.Reader.ReadChecked(document, entity);
        // What is no known entity is refused here where the worker has no say in any of them.
        return reading.IsValid || !(reading.Entity is null && entity is null ? view.ValidatesAll : IsOurs(reading.Entity ?? view.Reader.Catalog.Find(entity!)))
            ? null
            : new(422, "invalid_document", "", $"{reading.Violations.Count} {(reading.Violations.Count == 1 ? "violation" : "violations")} of its entity: {reading.Violations[0].Message}", "Correct every field that errors names.")
            {
                Errors = [.. reading.Violations.Select(violation => new FieldProblem(violation.Code, violation.Field, violation.Message, violation.Fix) { Limit = Number(violation.Limit) })],
            };
    }

    private static bool IsOurs(Entity? entity) => entity is { Validation: EntityValidation.Api };

    private static double? Number(string? limit) => double.TryParse(limit, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string Names(EntityCatalog catalog) => string.Join(", ", catalog.Roots.Take(20).Select(root => root.Name));

    private View Current()
    {
        var (view, catalog) = (_view, folder.Current);
        return ReferenceEquals(view.Reader.Catalog, catalog) ? view : _view = View.Of(catalog);
    }

    /// <summary>What follows from a catalog, made once.</summary>
    private sealed record View(EntityReader Reader, Dictionary<string, string> Subjects, bool Validates, bool ValidatesAll)
    {
        public static View Of(EntityCatalog catalog) => new(
            new(catalog),
            catalog.Roots.ToDictionary(root => root.Name, root => StreamNames.IngestSubjectPrefix + root.Name),
            catalog.Roots.Any(IsOurs),
            catalog.Roots.Count > 0 && catalog.Roots.All(IsOurs));
    }
}
