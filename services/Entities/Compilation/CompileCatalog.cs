using RuleEngineNats.Contracts;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Makes a catalog of definitions, or finds all that is wrong with them.</summary>
internal sealed class CompileCatalog(List<EntityDraft> drafts, Problems problems)
{
    private readonly Dictionary<string, EntityModel> _byName = new(StringComparer.Ordinal);

    /// <returns>Null when there are problems.</returns>
    public EntityCatalog? Compile()
    {
        var models = Models();
        var fields = new CompileFields(problems);
        models.ForEach(fields.Compile);
        var placed = new CompileFrames(_byName, problems).Compile(models);
        foreach (var root in placed.Where(model => model.Frame!.Depth == 0 && model.Frame.Owner == model))
        {
            var index = 0;
            foreach (var model in Tree(root.Frame!))
            {
                model.Index = index++;
            }
        }

        var sources = new CompileSources(fields, problems);
        placed.ForEach(sources.Compile);
        var compileTables = new CompileTables(problems);
        models.Where(model => !model.Draft.Abstract).ToList().ForEach(compileTables.Compile);
        var tables = new CompileForeignKeys([.. models.Select(model => model.Table).OfType<TableModel>()], problems).Compile();
        models.ForEach(CheckExtras);
        models.ForEach(model => CheckIsUsed(model, models));
        return problems.Count > 0 ? null : Build(models, tables);
    }

    private List<EntityModel> Models()
    {
        if (drafts.Count > EntityLimits.Entities)
        {
            problems.Incomplete = true;
            problems.Add(drafts[EntityLimits.Entities].Node, $"more than {EntityLimits.Entities} entities", "split the folder");
            drafts.RemoveRange(EntityLimits.Entities, drafts.Count - EntityLimits.Entities);
        }

        var merge = new MergeDrafts(drafts, problems);
        var models = new List<EntityModel>();
        foreach (var draft in drafts)
        {
            var merged = merge.Merge(draft);
            var model = new EntityModel(merged);
            foreach (var (field, overridden) in merge.Fields(merged))
            {
                if (model.Fields.Count == EntityLimits.Columns)
                {
                    problems.Add(field.Node, $"more than {EntityLimits.Columns} fields", "split the entity");
                    break;
                }

                model.Fields.Add(new(field, model.Fields.Count) { Overridden = overridden });
            }

            if (Identifiers.Check(draft.Name, "an entity", problems) && !_byName.TryAdd(model.Name, model))
            {
                var first = _byName[model.Name].Draft.Name.Node;
                problems.Add(draft.Name.Node, $"a second entity '{model.Name}'; the first is in {first.File}, line {first.Line}", "rename or remove one of the two");
                continue;
            }

            models.Add(model);
        }

        CheckPrefixes(models);
        return models;
    }

    private void CheckPrefixes(List<EntityModel> models)
    {
        var prefixes = new HashSet<string>(StringComparer.Ordinal);
        foreach (var prefix in models.Select(model => model.Draft.Prefix).OfType<Word>())
        {
            if (Identifiers.Check(prefix, "a prefix", problems) && (!prefixes.Add(prefix.Text) || _byName.ContainsKey(prefix.Text)))
            {
                problems.Add(prefix.Node, $"'{prefix}' is the name or the prefix of another entity", "choose another prefix");
            }
        }
    }

    private static IEnumerable<EntityModel> Tree(FrameModel frame) => frame.Entities.Concat(frame.Children.SelectMany(Tree));

    private void CheckExtras(EntityModel model)
    {
        var draft = model.Draft;
        if (draft.Fields.Count == 0 && !draft.Abstract && draft.Node is YamlMapping node && node["fields"] is null or YamlScalar { IsNull: true } or YamlSequence { Items.Count: 0 })
        {
            problems.Add(draft.Name.Node, $"'{model.Name}' has no fields", "add fields:");
        }

        if (draft.Validation is { } validation)
        {
            if (validation.Text is not ("api" or "worker"))
            {
                problems.Add(validation.Node, $"unknown validation '{validation}'", "one of api, worker");
            }
            else if (draft.Kind is not EntityKind.Root)
            {
                problems.Add(validation.Node, "only a root entity has a validation of its own", "set it for the root entity; it is for all that derives from it");
            }
        }

        CheckPublish(model);
        foreach (var word in draft.Existence?.Fields ?? [])
        {
            if (model.Field(word.Text) is null)
            {
                problems.Add(word.Node, $"unknown field '{word}'", Nearest.Fix(word.Text, model.Fields.Select(field => field.Name)));
            }
        }
    }

    private void CheckPublish(EntityModel model)
    {
        if (model.Draft.Publish is not { } subject)
        {
            return;
        }

        if (SubjectRules.Check(subject.Text, allowWildcards: false) is { } problem)
        {
            problems.Add(subject.Node, problem.ToString(), "write a subject such as events.orders.ingested");
        }
        else if (subject.Text == "messages" || subject.Text.StartsWith("messages.", StringComparison.Ordinal))
        {
            problems.Add(subject.Node, $"'{subject}' is one of the subjects that documents come in by", "choose a subject that does not begin with messages.");
        }

        if (model.Draft.Kind is EntityKind.Reference)
        {
            problems.Add(subject.Node, "a reference entity is never ingested, so it has no events", "remove publish");
        }
        else if (model.Table is null && !model.Draft.Abstract)
        {
            problems.Add(subject.Node, "published, but not stored: an event goes out together with its row", "add persistence, or remove publish");
        }
    }

    // Accepting documents that leave no trace loses them without anybody noticing.
    private void CheckIsUsed(EntityModel model, List<EntityModel> models)
    {
        if (model.Draft is { Kind: EntityKind.Root, Abstract: false } && !problems.Incomplete
            && !models.Exists(other => other.Table is not null && other.Frame?.Root == model))
        {
            problems.Add(model.Draft.Name.Node, $"nothing of '{model.Name}' is stored: neither it nor what derives from it has a table", "add persistence");
        }
    }

    private static EntityCatalog Build(List<EntityModel> models, List<TableModel> tables)
    {
        var concrete = models.Where(model => !model.Draft.Abstract).ToList();
        var built = concrete.ToDictionary(model => model, BuildEntity);
        foreach (var table in tables)
        {
            table.Table = BuildTable(table);
            built[table.Entity].Table = table.Table;
        }

        foreach (var root in concrete.Where(model => model.Draft.Kind is EntityKind.Root))
        {
            built[root].Plan = BuildPlans.Root(built[root], root.Frame!, tables);
        }

        var entities = concrete.Select(model => built[model]).ToList();
        List<EntityTable> ordered = [.. tables.Select(table => table.Table!)];
        return new(entities, ordered, DescribeCatalog.Describe(concrete, ordered));
    }

    private static Entity BuildEntity(EntityModel model)
    {
        var root = model.Frame!.Root.Draft;
        return new(model.Name, model.Draft.Kind, [.. model.Fields.Select(field => new EntityField(field.Name, FieldTypes.Name(field.Type!.Value), field.Nullable, field.Draft.Doc))])
        {
            Doc = model.Draft.Doc,
            Prefix = model.Draft.Prefix?.Text,
            Validation = root.Validation?.Text == "api" ? EntityValidation.Api : EntityValidation.Worker,
        };
    }

    private static EntityTable BuildTable(TableModel table) => new()
    {
        Name = table.Name.Text,
        Entity = table.Entity.Name,
        Doc = table.Entity.Draft.Doc,
        Columns = [.. table.Columns],
        RowColumns = [.. table.Columns.Where(column => column.Field is not null)],
        PrimaryKey = [.. table.PrimaryKey],
        Unicity = [.. table.Unicity],
        ForeignKeys = [.. table.ForeignKeys],
        Indexes = [.. table.Indexes],
        Publish = table.Entity.Draft.Publish?.Text,
    };
}
