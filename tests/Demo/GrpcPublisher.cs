using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using RuleEngineNats.Contracts.Publishing;

namespace RuleEngineNats.Demo;

/// <summary>1,000 events over one gRPC stream, fifty of them said twice.</summary>
internal static class GrpcPublisher
{
    public const int Events = 1_000;
    public const int Repeats = 50;

    public static async Task PublishAsync(string address, DemoWebhook webhook, SentEvents sent, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(address);
        using var stream = new PublishService.PublishServiceClient(channel).PublishStream(cancellationToken: cancellationToken);
        var ids = Enumerable.Range(0, Events).Concat(Enumerable.Range(0, Repeats))
            .Select(i => string.Create(CultureInfo.InvariantCulture, $"grpc-{i}"))
            .ToArray();
        var answers = ReadAsync(stream.ResponseStream, ids, sent, cancellationToken);
        foreach (var id in ids)
        {
            await stream.RequestStream.WriteAsync(
                new() { WebhookId = webhook.Id, MessageId = id, Payload = ByteString.CopyFromUtf8(SentEvents.Payload(id)) },
                cancellationToken);
        }

        await stream.RequestStream.CompleteAsync();
        await answers;
    }

    private static async Task ReadAsync(
        IAsyncStreamReader<PublishResult> answers, string[] ids, SentEvents sent, CancellationToken cancellationToken)
    {
        await foreach (var answer in answers.ReadAllAsync(cancellationToken))
        {
            if (answer.Stored is not { } stored)
            {
                throw new InvalidOperationException($"event {ids[answer.Index]} was not stored: {answer.Error.Message}");
            }

            if (stored.Duplicate)
            {
                sent.AddDuplicate();
            }
            else
            {
                sent.AddCommitted(ids[answer.Index]);
            }
        }
    }
}
