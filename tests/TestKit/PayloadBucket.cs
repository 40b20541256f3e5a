using System.Security.Cryptography;
using System.Text;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore;

namespace RuleEngineNats.TestKit;

/// <summary>The bucket for large bodies, written down here once more: what the services do is compared with the names below.</summary>
public static class PayloadBucket
{
    public const string Name = "RULE_PAYLOADS";

    /// <summary>JSON of a size, with text that does not compress to nothing and 1.50, which a jsonb round trip and a parser's would change.</summary>
    public static string Json(int bytes, string more = "")
    {
        const string Shape = """{"amount":1.50,"more":"","text":""}""";
        var text = Convert.ToHexString(RandomNumberGenerator.GetBytes((bytes / 2) + 1));
        return $$"""{"amount":1.50,"more":"{{more}}","text":"{{text[..(bytes - Shape.Length - more.Length)]}}"}""";
    }

    public static string Sha256(byte[] body) => Convert.ToHexStringLower(SHA256.HashData(body));

    public static string Sha256(string body) => Sha256(Encoding.UTF8.GetBytes(body));

    public static ValueTask<INatsObjStore> CreateAsync(INatsJSContext context) => new NatsObjContext(context).CreateObjectStoreAsync(Name);

    public static ValueTask<INatsObjStore> OpenAsync(INatsJSContext context) => new NatsObjContext(context).GetObjectStoreAsync(Name);

    /// <summary>The headers of an event that refers to an object.</summary>
    public static (string Name, string Value)[] Headers(byte[] body) =>
        [("rule-object", $"{Name}/{Sha256(body)}"), ("rule-object-size", body.Length.ToString(System.Globalization.CultureInfo.InvariantCulture)), ("rule-body-sha256", Sha256(body))];

    /// <summary>Takes the chunks of an object away and leaves its description, as a power cut may.</summary>
    public static async Task DamageAsync(INatsJSContext context, byte[] body)
    {
        var info = await (await OpenAsync(context)).GetInfoAsync(Sha256(body));
        await context.PurgeStreamAsync($"OBJ_{Name}", new StreamPurgeRequest { Filter = $"$O.{Name}.C.{info.Nuid}" });
    }

    /// <summary>How many objects the bucket describes.</summary>
    public static async Task<int> CountAsync(INatsJSContext context)
    {
        var stream = await context.GetStreamAsync($"OBJ_{Name}", new StreamInfoRequest { SubjectsFilter = $"$O.{Name}.M.>" });
        return stream.Info.State.Subjects?.Count ?? 0;
    }
}
