using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NATS.Client.Core;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Looks at a message that is in a stream. The server deduplicates by id alone; whether what it has is the same event is seen only by reading it.
/// One request per duplicate, none otherwise, and no memory of earlier publishes: it is right across replicas and restarts.
/// </summary>
internal static class StoredMessages
{
    private const int MessageNotFound = 10037;

    /// <summary>
    /// Turns a duplicate into what it is: the same event (<see cref="PublishOutcome.Duplicate"/>), another one
    /// (<see cref="RefusalReason.BodyMismatch"/>), or not known because the server does not answer. A message that has been removed since cannot be
    /// compared and counts as the same.
    /// </summary>
    public static async ValueTask<PublishOutcome> CompareAsync(
        INatsConnection connection, PublishOutcome.Duplicate duplicate, string bodySha256, TimeSpan timeout, CancellationToken cancellationToken)
    {
        byte[]? answer;
        try
        {
            var reply = await connection.RequestAsync<byte[], byte[]>(
                $"$JS.API.STREAM.MSG.GET.{duplicate.Stream}",
                Encoding.ASCII.GetBytes($$"""{"seq":{{duplicate.Sequence}}}"""),
                replyOpts: new NatsSubOpts { Timeout = timeout > TimeSpan.FromMilliseconds(50) ? timeout : TimeSpan.FromMilliseconds(50) },
                cancellationToken: cancellationToken);
            answer = reply.Data;
        }
        catch (Exception exception) when (exception is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new PublishOutcome.Unavailable(
                UnavailableReason.Timeout, "an event with this id is stored, but nats-server did not answer in time whether it is the same");
        }

        return Compare(answer, duplicate, bodySha256);
    }

    // Shape: {"message":{"subject":"..","seq":5,"hdrs":"<base64>","data":"<base64>","time":".."}} or {"error":{"err_code":10037,..}}
    private static PublishOutcome Compare(byte[]? answer, PublishOutcome.Duplicate duplicate, string bodySha256)
    {
        try
        {
            using var document = JsonDocument.Parse(answer ?? []);
            if (document.RootElement.TryGetProperty("message", out var message))
            {
                return StoredHash(message) == bodySha256
                    ? duplicate
                    : new PublishOutcome.Refused(RefusalReason.BodyMismatch, "the message id was used before with another body");
            }

            if (document.RootElement.TryGetProperty("error", out var error)
                && error.TryGetProperty("err_code", out var code) && code.TryGetInt32(out var number) && number == MessageNotFound)
            {
                return duplicate;
            }
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException)
        {
            // Falls through: an answer that cannot be read is no answer.
        }

        return new PublishOutcome.Unavailable(
            UnavailableReason.ServerError, "an event with this id is stored, but nats-server could not show it for comparison");
    }

    private static string StoredHash(JsonElement message)
    {
        if (message.TryGetProperty("hdrs", out var headers) && StoredHeaders.Find(headers.GetString(), EventHeaders.BodySha256) is { } sha256)
        {
            return sha256;
        }

        var body = message.TryGetProperty("data", out var data) ? data.GetBytesFromBase64() : [];
        return Convert.ToHexStringLower(SHA256.HashData(body));
    }
}
