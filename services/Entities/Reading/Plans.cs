using System.Text.RegularExpressions;
using RuleEngineNats.Entities.Definitions;

namespace RuleEngineNats.Entities.Reading;

/// <summary>How documents of a root entity are read: its own fields and those of all that derive from it.</summary>
internal sealed class RootPlan(Entity entity, FramePlan frame, EntityPlan[] entities, FramePlan[] frames)
{
    public Entity Entity => entity;

    /// <summary>The document itself.</summary>
    public FramePlan Frame => frame;

    /// <summary>By <see cref="EntityPlan.Index"/>.</summary>
    public EntityPlan[] Entities => entities;

    /// <summary>By <see cref="FramePlan.Index"/>.</summary>
    public FramePlan[] Frames => frames;

    /// <summary>The entities that have tables, in the order of those.</summary>
    public EntityPlan[] Stored { get; set; } = [];

    /// <summary>State of the last reading, for the next one; a reader beside it makes its own.</summary>
    public ReadState? Spare;
}

/// <summary>One JSON object that rows are made of: the document, or an item of a list. Its entities each make at most one row of it.</summary>
internal sealed class FramePlan
{
    public required int Index { get; init; }

    public required int Depth { get; init; }

    public FramePlan? Parent { get; init; }

    /// <summary>The entity and the field of the parent's frame that has the list; unused in the document.</summary>
    public int ListEntity { get; init; }

    public int ListField { get; init; }

    /// <summary>Where the list is in the object of the parent's frame.</summary>
    public string ListPath { get; init; } = "";

    /// <summary>What fields call the item; null where nothing is said.</summary>
    public string? Item { get; init; }

    /// <summary>The properties that are looked for in the object.</summary>
    public byte[][] Properties { get; set; } = [];

    /// <summary>In an order in which each comes after what it copies from.</summary>
    public EntityPlan[] Entities { get; set; } = [];

    public FramePlan[] Children { get; set; } = [];
}

internal sealed class EntityPlan
{
    public required int Index { get; init; }

    public required string Name { get; init; }

    public required FieldPlan[] Fields { get; init; }

    /// <summary>Entities without which there is none of this; empty for a root.</summary>
    public int[] Parents { get; set; } = [];

    public EntityTable? Table { get; set; }

    /// <summary>The fields whose values make a row, in its order.</summary>
    public int[] RowFields { get; set; } = [];

    /// <summary>Minimal existence: fields of which all or any must have a value; null where nothing is asked.</summary>
    public int[]? MustExist { get; set; }

    public bool MustAllExist { get; set; }
}

internal sealed class FieldPlan
{
    public required string Name { get; init; }

    public required FieldType Type { get; init; }

    public required bool Nullable { get; init; }

    public required FieldRules Rules { get; init; }

    /// <summary>Where it is in the frame's object, for messages.</summary>
    public required string Display { get; set; }

    /// <summary>The property of the frame's object that has the value; negative where <see cref="Source"/> has.</summary>
    public int Slot { get; set; } = -1;

    public SourcePlan? Source { get; set; }

    public EntityValue Default { get; set; }
}

/// <summary>What a value must keep.</summary>
internal sealed class FieldRules
{
    public int? MinLength { get; set; }

    public int? MaxLength { get; set; }

    /// <summary>Most bytes, because of an index; <see cref="int.MaxValue"/> for any.</summary>
    public int MaxBytes { get; set; } = int.MaxValue;

    public decimal? Minimum { get; set; }

    public decimal? Maximum { get; set; }

    public double? MinimumDouble { get; set; }

    public double? MaximumDouble { get; set; }

    public Regex? Pattern { get; set; }

    public byte[][]? Allowed { get; set; }

    public int? Precision { get; set; }

    public int Scale { get; set; }
}

/// <summary>Where a computed value comes from: the first input that has one, or what the condition chooses.</summary>
internal sealed class SourcePlan
{
    public EntityValue Constant { get; set; }

    public InputPlan[] Inputs { get; set; } = [];

    /// <summary>Null: the first input that has a value. Else the first input where it holds and the second, or nothing, where it does not.</summary>
    public InputPlan? Condition { get; set; }

    public byte[] EqualTo { get; set; } = [];
}

/// <summary>A field that was read already, or JSON: of a frame's object, or of such a field.</summary>
/// <param name="Entity">The entity whose field it is; negative for the object of a frame.</param>
/// <param name="Field">The field.</param>
/// <param name="Depth">The frame whose object it is, or is in.</param>
/// <param name="Path">Names that lead on from there; empty for the value itself.</param>
/// <param name="Display">The path for messages, from the frame's object on; null where a value is copied, which is the field's own then.</param>
internal sealed record InputPlan(int Entity, int Field, int Depth, byte[][] Path, string? Display);
