using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Reading;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>An entity while it is put together.</summary>
internal sealed class EntityModel(EntityDraft draft)
{
    public EntityDraft Draft => draft;

    public string Name => draft.Name.Text;

    public List<FieldModel> Fields { get; } = [];

    /// <summary>By what fields call them.</summary>
    public List<(string Alias, EntityModel Entity)> Parents { get; } = [];

    public EntityModel? RepeatedFor { get; set; }

    public FieldModel? RepeatedField { get; set; }

    public FrameModel? Frame { get; set; }

    /// <summary>Its place among the entities of its root.</summary>
    public int Index { get; set; }

    public EntityPlan? Plan { get; set; }

    public TableModel? Table { get; set; }

    public IEnumerable<EntityModel> DerivesFrom => RepeatedFor is null ? Parents.Select(parent => parent.Entity) : Parents.Select(parent => parent.Entity).Prepend(RepeatedFor);

    public FieldModel? Field(string name) => Fields.Find(field => field.Name == name);
}

internal sealed class FieldModel(FieldDraft draft, int ordinal)
{
    public FieldDraft Draft => draft;

    public string Name => draft.Name.Text;

    public int Ordinal => ordinal;

    public string Column { get; } = Identifiers.Column(draft.Name.Text);

    /// <summary>Null where the definition gives none that is known; that is reported already.</summary>
    public FieldType? Type { get; set; }

    public bool Nullable => draft.Nullable ?? false;

    /// <summary>Whether a derived entity is repeated for it, so that its items have rows of their own.</summary>
    public bool IsRepeated { get; set; }

    /// <summary>Whether an override names it: then it is a column whatever it is.</summary>
    public bool Overridden { get; set; }

    public FieldPlan? Plan { get; set; }
}

/// <summary>The document of a root, or an item of a list in it.</summary>
internal sealed class FrameModel(FrameModel? parent, EntityModel owner)
{
    public FrameModel? Parent => parent;

    public EntityModel Owner => owner;

    public int Depth { get; } = parent is null ? 0 : parent.Depth + 1;

    public EntityModel Root => parent is null ? owner : parent.Root;

    public List<EntityModel> Entities { get; } = [owner];

    public List<FrameModel> Children { get; } = [];

    public List<string> Properties { get; } = [];

    /// <summary>This frame and those around it, from the inside out.</summary>
    public IEnumerable<FrameModel> Chain
    {
        get
        {
            for (var frame = this; frame is not null; frame = frame.Parent)
            {
                yield return frame;
            }
        }
    }

    public int Slot(string property)
    {
        var slot = Properties.IndexOf(property);
        if (slot < 0)
        {
            slot = Properties.Count;
            Properties.Add(property);
        }

        return slot;
    }
}

internal sealed class TableModel
{
    public required EntityModel Entity { get; init; }

    public required Word Name { get; init; }

    public List<EntityColumn> Columns { get; } = [];

    public List<FieldModel> Stored { get; } = [];

    public List<string> PrimaryKey { get; } = [];

    public List<string> Unicity { get; } = [];

    public List<EntityIndex> Indexes { get; } = [];

    public List<EntityForeignKey> ForeignKeys { get; } = [];

    public List<TableModel> References { get; } = [];

    public EntityTable? Table { get; set; }
}
