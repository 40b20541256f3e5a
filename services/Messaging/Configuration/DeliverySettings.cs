using System.Text.Json;
using System.Text.Json.Serialization;

namespace RuleEngineNats.Messaging;

/// <summary>
/// How deliveries to one webhook are made: the columns of <c>rule_webhooks</c> that <c>rule_webhook_configure</c> changes. In SQL the names have underscores,
/// over REST they are camel case; a change takes effect within 2 seconds.
/// </summary>
public sealed class DeliverySettings
{
    /// <summary>Seconds from each failed attempt to the next: 1 to 20 of 0 to 604,800. Null: the schedule of Standard Webhooks, or upstream's retry columns where one of them is not its default.</summary>
    public int[]? RetrySchedule { get; set; }

    /// <summary>Most requests to it at once from one worker process: 1 to 256, 8 by default. What comes beyond waits in PostgreSQL.</summary>
    public int MaxConcurrency { get; set; } = 8;

    /// <summary>Most attempts a second over all workers: 0.01 to 100,000; null, the default, for no limit.</summary>
    public double? RateLimit { get; set; }

    /// <summary>How many attempts of the rate limit may come at once after a pause: 1 to 100,000; null: as many as in one second.</summary>
    public int? RateBurst { get; set; }

    /// <summary>Failures in a row that open the circuit breaker: 1 to 1,000, 10 by default; 0 switches it off.</summary>
    public int BreakerFailures { get; set; } = 10;

    /// <summary>Percentage of failures among at least 10 attempts of the last 60 seconds that opens it: 1 to 100, 70 by default.</summary>
    public int BreakerFailurePct { get; set; } = 70;

    /// <summary>How often one attempt is made while it is open, in seconds: 1 to 86,400, 30 by default.</summary>
    public int BreakerProbeSeconds { get; set; } = 30;

    /// <summary>Time of nothing but failures, and at least 20 of them, after which it is switched off: 60 to 31,536,000 s, 432,000 (5 days) by default; null: never.</summary>
    public int? DisableAfterSeconds { get; set; } = 432_000;

    /// <summary>How often a webhook that failures switched off is tried with one of its calls: 1 to 86,400 s, 3,600 by default; null: never.</summary>
    public int? RecoveryProbeSeconds { get; set; } = 3600;

    /// <summary>Calls waiting for it above which <c>events.webhooks.backlog</c> is published: 1 to 100,000,000, 10,000 by default; null: never.</summary>
    public int? BacklogThreshold { get; set; } = 10_000;

    /// <summary>Names of the answer's headers that are kept with an attempt, lower case, at most 32.</summary>
    public string[] ResponseHeadersKept { get; set; } = ["content-type", "content-length", "date", "retry-after", "server", "x-request-id"];

    /// <summary><c>none</c>, the default; <c>webhook</c>: one event after the other; <c>key</c>: so for each value of <see cref="OrderBy"/>.</summary>
    public string Ordering { get; set; } = "none";

    /// <summary>With ordering <c>key</c>: a path such as <c>$.customer.id</c>, or <c>header:&lt;name&gt;</c>; at most 255 characters.</summary>
    public string? OrderBy { get; set; }

    /// <summary>When an ordered event fails: <c>block</c> (the default), <c>skip</c> or <c>park</c>.</summary>
    public string OrderOnFailure { get; set; } = "block";

    /// <summary>Whether it is ordered.</summary>
    [JsonIgnore]
    public bool IsOrdered => Ordering != "none";

    /// <summary>How requests are signed: standard (the default), github, stripe or none.</summary>
    public string SignatureProfile { get; set; } = "standard";

    /// <summary>How requests are authorized, with the secret named auth: none (the default), basic, bearer, oauth2 or mtls.</summary>
    public string AuthType { get; set; } = "none";

    /// <summary>What is sent instead of the event's body: an object, array or text with placeholders such as <c>{{customer.name}}</c>, <c>{{$}}</c> and <c>{{$subject}}</c>, at most 64 KiB. Null, the default: the body, byte for byte.</summary>
    public JsonElement? PayloadTemplate { get; set; }

    /// <summary>A SQL/JSON path such as <c>$.amount &gt; 100</c> that an event has to match to be sent, at most 8 KiB; null, the default: every event. It is kept as PostgreSQL prints it.</summary>
    public string? ContentFilter { get; set; }

    /// <summary><c>identity</c>, the default, or <c>gzip</c>: bodies over 1 KiB are sent compressed; the signature is that of the body before.</summary>
    public string ContentEncoding { get; set; } = "identity";

    /// <summary><c>binary</c>, the default: attributes of CloudEvents are headers; <c>structured</c>: they are members of the body, which has the payload in <c>data</c>.</summary>
    public string CloudeventsMode { get; set; } = "binary";

    /// <summary>Reads what <c>rule_webhook_settings</c> returns.</summary>
    public static DeliverySettings FromSql(string json) => JsonSerializer.Deserialize(json, DeliverySettingsJson.Default.DeliverySettings)!;

    /// <summary>The argument of <c>rule_webhook_configure</c> that changes some of the settings, named as in C#.</summary>
    public string ToSql(Func<string, bool> given)
    {
        var all = JsonSerializer.SerializeToNode(this, DeliverySettingsJson.Default.DeliverySettings)!.AsObject();
        foreach (var property in DeliverySettingsJson.Default.DeliverySettings.Properties)
        {
            if (!given(ToCamelCase(property.Name)))
            {
                all.Remove(property.Name);
            }
        }

        return all.ToJsonString();
    }

    /// <summary>The REST name of a setting.</summary>
    public static string ToCamelCase(string sqlName)
    {
        var words = sqlName.Split('_');
        return words[0] + string.Concat(words.Skip(1).Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DeliverySettings))]
internal sealed partial class DeliverySettingsJson : JsonSerializerContext;
