using System.Runtime.InteropServices;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.Entities.Reading;

namespace RuleEngineNats.Entities;

/// <summary>Reads documents into rows. One may be used by any number of threads at once.</summary>
public sealed class EntityReader(EntityCatalog catalog)
{
    private const int MostReasons = 20;

    /// <summary>The catalog it reads with.</summary>
    public EntityCatalog Catalog => catalog;

    /// <summary>Checks that a document is JSON as <see cref="PayloadRules"/> has it, and reads it.</summary>
    /// <param name="json">The document. The rows point into it: it must not change until they are written.</param>
    /// <param name="hint">Name or prefix of the root entity it is; null to try each root in order and take the first whose required fields are there with the right JSON type.</param>
    public EntityReading Read(ReadOnlyMemory<byte> json, string? hint)
        => PayloadRules.Check(json.Span, PayloadRules.MaxBytes) is { } problem
            ? Refuse(new(ViolationCodes.InvalidJson, "$", problem.ToString(), null, "send one JSON object in UTF-8"))
            : ReadChecked(json, hint);

    /// <summary>Reads a document which <see cref="PayloadRules.Check"/> has passed already.</summary>
    /// <inheritdoc cref="Read" path="/param"/>
    public EntityReading ReadChecked(ReadOnlyMemory<byte> json, string? hint)
    {
        var array = MemoryMarshal.TryGetArray(json, out var segment) ? segment : new ArraySegment<byte>(json.ToArray());
        var document = new Token(array.Array!, array.Offset, array.Count, FirstToken(array), Escaped: false);
        if (document.Type != JsonTokenType.StartObject)
        {
            return Refuse(new(ViolationCodes.NotAnObject, "$", $"the document is {Json.Name(document.Type)}, not an object", null, "send one JSON object"));
        }

        if (hint is null)
        {
            return ReadAny(document);
        }

        return catalog.Find(hint) switch
        {
            { Plan: { } plan } => ReadAs(plan, document),
            { } other => Refuse(new(ViolationCodes.UnknownEntity, "$", $"{other.Name} is a {other.Kind.ToString().ToLowerInvariant()} entity, which is not ingested", null, Roots())),
            null => Refuse(new(ViolationCodes.UnknownEntity, "$", "there is no entity of the name that was given", null, Roots())),
        };
    }

    private static JsonTokenType FirstToken(ArraySegment<byte> json)
    {
        var reader = new Utf8JsonReader(json, Json.Options);
        reader.Read();
        return reader.TokenType;
    }

    private static EntityReading Refuse(Violation violation) => new(null, [], [violation]);

    private string Roots() => catalog.Roots.Count == 0 ? "define a root entity" : $"name one of {string.Join(", ", catalog.Roots.Take(20).Select(root => root.Name))}, or none";

    private static EntityReading ReadAs(RootPlan plan, Token document)
    {
        var state = Interlocked.Exchange(ref plan.Spare, null) ?? new ReadState(plan);
        var reading = new DocumentReader(plan, state).Read(document);
        state.Clear();
        Volatile.Write(ref plan.Spare, state);
        return reading;
    }

    private EntityReading ReadAny(Token document)
    {
        var reasons = new List<string>();
        foreach (var root in catalog.Roots)
        {
            var plan = root.Plan!;
            var state = Interlocked.Exchange(ref plan.Spare, null) ?? new ReadState(plan);
            var reader = new DocumentReader(plan, state);
            var mismatch = reader.Mismatch(document);
            var reading = mismatch is null ? reader.Read(document) : null;
            state.Clear();
            Volatile.Write(ref plan.Spare, state);
            if (reading is not null)
            {
                return reading;
            }

            if (reasons.Count < MostReasons)
            {
                reasons.Add($"{root.Name}: {mismatch}");
            }
        }

        var why = reasons.Count == 0 ? "there is none" : string.Join("; ", reasons);
        return Refuse(new(ViolationCodes.NoEntity, "$", $"Could not parse as any known entity type: {why}", null, Roots()));
    }
}
