using System.Text.Json;
using System.Text.Json.Serialization;
using RuleEngineNats.ConfigService.Connections;
using RuleEngineNats.ConfigService.DeadLetters;
using RuleEngineNats.ConfigService.Pool;
using RuleEngineNats.ConfigService.Replays;
using RuleEngineNats.ConfigService.Secrets;
using RuleEngineNats.ConfigService.Statistics;
using RuleEngineNats.ConfigService.Streams;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService;

/// <summary>Every type that goes over the wire.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, NumberHandling = JsonNumberHandling.Strict, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(Webhook))]
[JsonSerializable(typeof(CreatedWebhook))]
[JsonSerializable(typeof(WebhookPage))]
[JsonSerializable(typeof(CreateWebhook.Request), TypeInfoPropertyName = "CreateWebhookRequest")]
[JsonSerializable(typeof(UpdateWebhook.Request), TypeInfoPropertyName = "UpdateWebhookRequest")]
[JsonSerializable(typeof(EnableNats.Request), TypeInfoPropertyName = "EnableNatsRequest")]
[JsonSerializable(typeof(EnableNats.Answer), TypeInfoPropertyName = "EnableNatsAnswer")]
[JsonSerializable(typeof(TestWebhook.Answer), TypeInfoPropertyName = "TestWebhookAnswer")]
[JsonSerializable(typeof(DeliverySettings))]
[JsonSerializable(typeof(SecretList))]
[JsonSerializable(typeof(SetSecret.Request), TypeInfoPropertyName = "SetSecretRequest")]
[JsonSerializable(typeof(RotateSecret.Request), TypeInfoPropertyName = "RotateSecretRequest")]
[JsonSerializable(typeof(RotateSecret.Answer), TypeInfoPropertyName = "RotateSecretAnswer")]
[JsonSerializable(typeof(Connection))]
[JsonSerializable(typeof(ConnectionList))]
[JsonSerializable(typeof(PutConnection.Request), TypeInfoPropertyName = "PutConnectionRequest")]
[JsonSerializable(typeof(Streams.Stream), TypeInfoPropertyName = "StreamAnswer")]
[JsonSerializable(typeof(StreamList))]
[JsonSerializable(typeof(CreateStream.Request), TypeInfoPropertyName = "CreateStreamRequest")]
[JsonSerializable(typeof(CreateStream.Answer), TypeInfoPropertyName = "CreateStreamAnswer")]
[JsonSerializable(typeof(PublishStatistics))]
[JsonSerializable(typeof(PublishSummary))]
[JsonSerializable(typeof(PublishLatencies))]
[JsonSerializable(typeof(PublishFailures))]
[JsonSerializable(typeof(DeliverySummary))]
[JsonSerializable(typeof(PoolAnswer))]
[JsonSerializable(typeof(DeadLetterPage))]
[JsonSerializable(typeof(DeadLetterDetail))]
[JsonSerializable(typeof(DeadLetterFilter))]
[JsonSerializable(typeof(DeadLetterCount))]
[JsonSerializable(typeof(Replay))]
[JsonSerializable(typeof(ReplayPage))]
[JsonSerializable(typeof(StartReplay.Request), TypeInfoPropertyName = "StartReplayRequest")]
internal sealed partial class ConfigJson : JsonSerializerContext;
