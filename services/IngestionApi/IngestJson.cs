using System.Text.Json;
using System.Text.Json.Serialization;
using RuleEngineNats.IngestionApi.Batches;
using RuleEngineNats.IngestionApi.DeadLetters;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Status;

namespace RuleEngineNats.IngestionApi;

/// <summary>Every type that goes over the wire, but for the answers that are written by hand.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.Strict, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(DocumentStatus))]
[JsonSerializable(typeof(StatusPage))]
[JsonSerializable(typeof(BatchStatus))]
[JsonSerializable(typeof(DeadLetter))]
[JsonSerializable(typeof(DeadLetterPage))]
[JsonSerializable(typeof(Resubmitted))]
[JsonSerializable(typeof(RedriveDeadLetters.Request), TypeInfoPropertyName = "RedriveRequest")]
[JsonSerializable(typeof(RedriveDeadLetters.Answer), TypeInfoPropertyName = "RedriveAnswer")]
[JsonSerializable(typeof(Health.Health))]
[JsonSerializable(typeof(Readiness))]
[JsonSerializable(typeof(Statistics))]
internal sealed partial class IngestJson : JsonSerializerContext;
