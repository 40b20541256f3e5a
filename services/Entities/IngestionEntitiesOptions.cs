using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.Entities;

/// <summary>Where the definitions of entities are. Section <c>Ingestion:Entities</c>; the API and the worker must have the same.</summary>
public sealed class IngestionEntitiesOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Ingestion:Entities";

    /// <summary>Default none: no entities, so that every document is refused by the worker. A folder with <c>*.yaml</c> and <c>*.yml</c>; those in folders of it are not read.</summary>
    public string? Folder { get; set; }

    /// <summary>Default 2 s: how often names, sizes and times of the files are looked at. A change is in use after that, or a problem of it logged; the last good definitions stay until then.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:10:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(2);
}
