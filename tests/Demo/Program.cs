using NATS.Client.JetStream.Models;
using NATS.Net;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Demo;
using RuleEngineNats.TestKit;

// Usage: Demo <endpoints.json>. Publishes into a running graph and counts what comes out of it, in the stream and at a receiver of its own.
if (args is not [var path])
{
    Console.Error.WriteLine("usage: Demo <endpoints.json>");
    return 2;
}

using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
var endpoints = await Endpoints.ReadAsync(path, limit.Token);
await using var database = NpgsqlDataSource.Create(endpoints.ConnectionString());
await using var receiver = await WebhookReceiver.StartAsync(limit.Token);
var run = Guid.CreateVersion7().ToString("N")[^12..];
var subject = $"webhooks.demo.{run}";

var webhooks = new[]
{
    await DemoWebhook.RegisterAsync(database, $"demo-{run}-first", receiver, "/first", subject, limit.Token),
    await DemoWebhook.RegisterAsync(database, $"demo-{run}-second", receiver, "/second", subject, limit.Token),
};

var warmUp = await DemoWebhook.RegisterAsync(database, $"demo-{run}-warm-up", receiver, "/warm-up", $"{subject}.warm-up", limit.Token);
await SqlPublisher.WarmUpAsync(database, warmUp, limit.Token);
await receiver.WaitForAsync(received => received.At(warmUp.Path).Count() >= SqlPublisher.WarmUps, "the deliveries that warm the services up");

Console.WriteLine($"publishing to {subject}, which two webhooks want");
var sent = new SentEvents();
await SqlPublisher.PublishAsync(database, webhooks[0], sent, limit.Token);
await GrpcPublisher.PublishAsync(endpoints.Publish, webhooks[0], sent, limit.Token);
await receiver.WaitForAsync(
    received => webhooks.Sum(webhook => received.At(webhook.Path).Select(request => request.Id).Distinct().Count()) >= sent.Committed * webhooks.Length,
    $"{sent.Committed * webhooks.Length} deliveries");

await using var nats = new NatsClient(endpoints.Nats);
var stream = await nats.CreateJetStreamContext()
    .GetStreamAsync(StreamNames.Webhooks, new StreamInfoRequest { SubjectsFilter = subject }, limit.Token);
var stored = stream.Info.State.Subjects is { } subjects && subjects.TryGetValue(subject, out var count) ? count : 0;
long recorded = 0;
await Wait.UntilAsync(
    async () => (recorded = await DemoWebhook.CountStoredAsync(database, subject, limit.Token)) >= sent.Committed,
    "the history has a row for each stored event",
    cancellationToken: limit.Token);

return DemoReport.Print(sent, stored, recorded, webhooks, receiver) ? 0 : 1;
