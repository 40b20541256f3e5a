using RuleEngineNats.Entities.Reading;

namespace RuleEngineNats.Entities;

/// <summary>Where the data of an entity come from.</summary>
public enum EntityKind
{
    /// <summary>Documents that are ingested.</summary>
    Root,

    /// <summary>Made out of a root, such as the lines of an order.</summary>
    Derived,

    /// <summary>Loaded by others and never ingested; others may refer to its table.</summary>
    Reference,
}

/// <summary>Who refuses a document that violates its entity.</summary>
public enum EntityValidation
{
    /// <summary>The worker: the document is accepted, and ends as a dead letter with the violations.</summary>
    Worker,

    /// <summary>The API: 422 with all violations.</summary>
    Api,
}

/// <summary>One entity of a catalog.</summary>
public sealed class Entity
{
    internal Entity(string name, EntityKind kind, IReadOnlyList<EntityField> fields) => (Name, Kind, Fields) = (name, kind, fields);

    /// <summary>Its name: the hint, and the last token of the subject.</summary>
    public string Name { get; }

    /// <summary>Where its data come from.</summary>
    public EntityKind Kind { get; }

    /// <summary>Its fields in the order of the definition.</summary>
    public IReadOnlyList<EntityField> Fields { get; }

    /// <summary>What the definition says about it.</summary>
    public string? Doc { get; internal init; }

    /// <summary>Its short name, which does as a hint as well.</summary>
    public string? Prefix { get; internal init; }

    /// <summary>Who refuses what violates it; of a root, for all that derive from it.</summary>
    public EntityValidation Validation { get; internal init; }

    /// <summary>Where its rows go; null for what is only read for the sake of others.</summary>
    public EntityTable? Table { get; internal set; }

    /// <summary>How its documents are read; only of a root.</summary>
    internal RootPlan? Plan { get; set; }
}

/// <summary>A field of an entity.</summary>
/// <param name="Name">Its name in the document.</param>
/// <param name="Type">Its type, as the legacy form writes it: <c>String</c>, <c>List[Object]</c>.</param>
/// <param name="Nullable">Whether it may be missing or null.</param>
/// <param name="Doc">What the definition says about it.</param>
public sealed record EntityField(string Name, string Type, bool Nullable, string? Doc);
