using System.Globalization;
using System.Text.Json;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Demo;

/// <summary>Compares what was published with what is in the stream, in the history and at the receiver, and prints the table.</summary>
internal static class DemoReport
{
    private const int Published = SqlPublisher.Events - SqlPublisher.RolledBack + GrpcPublisher.Events;

    public static bool Print(SentEvents sent, long stored, long recorded, DemoWebhook[] webhooks, WebhookReceiver receiver)
    {
        var delivered = new HashSet<(string Webhook, string Event)>();
        var (again, badSignatures, strangers) = (0, 0, 0);
        var sqlLatencies = new List<double>();
        foreach (var webhook in webhooks)
        {
            foreach (var request in receiver.At(webhook.Path))
            {
                using var body = JsonDocument.Parse(request.Body);
                var id = body.RootElement.GetProperty("event").GetString()!;
                badSignatures += StandardWebhookVerifier.Verify(webhook.Secret, request) ? 0 : 1;
                if (!sent.CommittedAt.TryGetValue(id, out var committed))
                {
                    strangers++;
                }
                else if (!delivered.Add((webhook.Path, id)))
                {
                    again++;
                }
                else if (id.StartsWith("sql-", StringComparison.Ordinal))
                {
                    sqlLatencies.Add((request.At - committed).TotalMilliseconds);
                }
            }
        }

        sqlLatencies.Sort();
        var rightlyAbsent = sent.RolledBack.Count(id => !delivered.Any(delivery => delivery.Event == id));
        var right = true;
        Row("published (SQL committed + gRPC)", sent.Committed, Published);
        Row("stored in the stream", stored, Published);
        Row("recorded as stored in the history", recorded, Published);
        Row("duplicates, answered and not stored", sent.Duplicates, SqlPublisher.Repeats + GrpcPublisher.Repeats);
        Row("delivered (two webhooks)", delivered.Count, Published * webhooks.Length);
        Row("delivered twice", again, 0);
        Row("signatures that do not verify", badSignatures, 0);
        Row("rolled back and rightly absent", rightlyAbsent, SqlPublisher.RolledBack);
        Row("delivered though never published", strangers, 0);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{"commit to delivered, SQL at 200/s",-40} p50 {Percentile(sqlLatencies, 0.50):0.0} ms   p99 {Percentile(sqlLatencies, 0.99):0.0} ms"));
        Console.WriteLine(right ? "every number is right" : "NOT right: see the rows marked with !");
        return right;

        void Row(string what, long seen, long wanted)
        {
            right &= seen == wanted;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-40} {seen,8} of {wanted,6} {(seen == wanted ? ' ' : '!')}"));
        }
    }

    private static double Percentile(List<double> sorted, double share)
        => sorted.Count == 0 ? double.NaN : sorted[Math.Min(sorted.Count - 1, (int)(sorted.Count * share))];
}
