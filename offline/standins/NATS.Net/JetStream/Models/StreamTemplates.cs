using System.Text.Json.Serialization;

namespace NATS.Client.JetStream.Models;

public record StreamTemplateConfig
{
    [JsonPropertyName("name")]
    public required string Name { get; set; }

    [JsonPropertyName("max_streams")]
    public int MaxStreams { get; set; }

    [JsonPropertyName("config")]
    public StreamConfig Config { get; set; } = new();
}

public record StreamTemplateCreateRequest : StreamTemplateConfig
{
}

public record StreamTemplateCreateResponse : StreamTemplateInfo
{
}

public record StreamTemplateDeleteResponse
{
    [JsonPropertyName("success")]
    public bool Success { get; set; }
}

public record StreamTemplateInfo
{
    [JsonPropertyName("config")]
    public required StreamTemplateConfig Config { get; set; }

    [JsonPropertyName("streams")]
    public ICollection<string> Streams { get; set; } = [];
}

public record StreamTemplateInfoResponse : StreamTemplateInfo
{
}

public record StreamTemplateNamesRequest : IterableRequest
{
}

public record StreamTemplateNamesResponse : IterableResponse
{
    [JsonPropertyName("consumers"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public ICollection<string>? Consumers { get; set; }
}
