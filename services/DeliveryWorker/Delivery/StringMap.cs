using System.Text.Json.Serialization;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>JSON objects whose values are strings: the headers columns.</summary>
[JsonSerializable(typeof(Dictionary<string, string>), TypeInfoPropertyName = "Map")]
internal sealed partial class StringMap : JsonSerializerContext;
