using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.Entities;

/// <summary>All entities of a folder, checked against each other. It never changes.</summary>
public sealed class EntityCatalog
{
    /// <summary>No entity at all.</summary>
    public static readonly EntityCatalog Empty = new([], [], "");

    private readonly FrozenDictionary<string, Entity> _byName;

    internal EntityCatalog(IReadOnlyList<Entity> entities, IReadOnlyList<EntityTable> tables, string description)
    {
        (Entities, Tables) = (entities, tables);
        Roots = [.. entities.Where(entity => entity.Kind == EntityKind.Root)];
        Version = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(description)).AsSpan(0, 8));
        _byName = entities.Select(entity => KeyValuePair.Create(entity.Name, entity))
            .Concat(entities.Where(entity => entity.Prefix is not null).Select(entity => KeyValuePair.Create(entity.Prefix!, entity)))
            .ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>All entities in the order of their files; abstract ones are gone.</summary>
    public IReadOnlyList<Entity> Entities { get; }

    /// <summary>Those that documents are read as, in the order they are tried in.</summary>
    public IReadOnlyList<Entity> Roots { get; }

    /// <summary>All tables; what a table refers to or derives from comes before it.</summary>
    public IReadOnlyList<EntityTable> Tables { get; }

    /// <summary>16 hexadecimal digits that change with what is read and stored, not with how it is written down.</summary>
    public string Version { get; }

    /// <summary>The entity with a name or a prefix; null when there is none.</summary>
    public Entity? Find(string nameOrPrefix) => _byName.GetValueOrDefault(nameOrPrefix);
}
