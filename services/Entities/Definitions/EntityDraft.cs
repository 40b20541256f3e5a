using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Definitions;

/// <summary>An entity as it is written down, in either form, before anything of it is looked up.</summary>
internal sealed class EntityDraft
{
    public required YamlNode Node { get; init; }

    public required Word Name { get; init; }

    public EntityKind Kind { get; set; }

    public bool Abstract { get; set; }

    public Word? Extends { get; set; }

    public string? Doc { get; set; }

    public Word? Prefix { get; set; }

    public List<ParentDraft> Parents { get; set; } = [];

    public RepeatDraft? Repeat { get; set; }

    public List<FieldDraft> Fields { get; set; } = [];

    public ExistenceDraft? Existence { get; set; }

    public PersistenceDraft? Persistence { get; set; }

    public Word? Publish { get; set; }

    public Word? Validation { get; set; }
}

/// <param name="Alias">What fields call it; null for its own name.</param>
internal sealed record ParentDraft(Word? Alias, Word Entity);

/// <param name="Item">What fields call an item of the list.</param>
internal sealed record RepeatDraft(Word Entity, Word Field, Word? Item);

internal sealed record ExistenceDraft(bool All, List<Word> Fields);

internal sealed class FieldDraft
{
    public required YamlNode Node { get; init; }

    public required Word Name { get; init; }

    public Word? Type { get; set; }

    public bool? Nullable { get; set; }

    public string? Doc { get; set; }

    public bool PrimaryKey { get; set; }

    public bool Indexed { get; set; }

    public bool Unique { get; set; }

    /// <summary>The legacy form: <c>[255]</c> of a String, <c>[15, 2]</c> of a Decimal.</summary>
    public List<YamlNode> Arguments { get; init; } = [];

    public ConstraintsDraft Constraints { get; set; } = new();

    public SourceDraft? Source { get; set; }
}

internal sealed class ConstraintsDraft
{
    public Located<int>? MaxLength { get; set; }

    public Located<int>? MinLength { get; set; }

    public Word? Minimum { get; set; }

    public Word? Maximum { get; set; }

    public Word? Pattern { get; set; }

    public YamlNode? EnumNode { get; set; }

    public List<Word> Enum { get; set; } = [];

    public YamlNode? Default { get; set; }

    public Located<int>? Precision { get; set; }

    public Located<int>? Scale { get; set; }
}

internal sealed record Located<T>(T Value, YamlNode Node);

/// <summary>Where a field's value comes from, when not from the property of its name.</summary>
internal sealed class SourceDraft
{
    public required YamlNode Node { get; init; }

    public YamlNode? Constant { get; set; }

    public Word? Transform { get; set; }

    public List<InputDraft> Inputs { get; set; } = [];

    /// <summary>The argument of the transform: a path in JSON, or a constant.</summary>
    public YamlNode? Argument { get; set; }

    public ConditionDraft? Condition { get; set; }
}

/// <param name="Field">Null where an item or a field of the entity itself is named.</param>
internal sealed record InputDraft(Word Source, Word? Field);

internal sealed record ConditionDraft(InputDraft Field, Word EqualTo);

internal sealed class PersistenceDraft
{
    public required YamlNode Node { get; init; }

    public Word? Table { get; set; }

    public Word? IdColumn { get; set; }

    public KeyDraft? PrimaryKey { get; set; }

    public List<Word> Unicity { get; set; } = [];

    public List<ForeignKeyDraft> ForeignKeys { get; set; } = [];

    public List<IndexDraft> Indexes { get; set; } = [];

    public List<FieldDraft> Overrides { get; set; } = [];
}

internal sealed record KeyDraft(Word Name, Word? Type, bool Autogenerate);

internal sealed record ForeignKeyDraft(Word Column, Word References, Word? Entity, Located<bool>? Nullable);

internal sealed record IndexDraft(Word Name, List<Word> Fields, bool Unique, Word? Method);
