using System.Globalization;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests.Workers;

/// <summary>The services without a delivery worker: what arrives, the example workers have delivered.</summary>
public sealed class WorkerGraph : IAsyncLifetime
{
    private NatsConnection _connection = null!;

    public ServiceGraph Graph { get; private set; } = null!;

    public NatsJSContext JetStream { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await WorkerLanguage.PrepareAsync("node");
        Graph = await ServiceGraph.StartAsync(workers: 0);
        _connection = new NatsConnection(new NatsOpts { Url = Graph.Nats.Url });
        JetStream = new(_connection);
    }

    public async Task DisposeAsync()
    {
        await _connection.DisposeAsync();
        await Graph.DisposeAsync();
    }

    /// <summary>Publishes in SQL, as an application does; CdcRelay brings it to the stream.</summary>
    public Task PublishAsync(GraphWebhook webhook, int count = 1, string body = "{}")
        => Graph.ScalarAsync<long>(
            "SELECT count(rule_webhook_publish_nats($1, $2::jsonb || jsonb_build_object('n', n))) FROM generate_series(1, $3) n", [webhook.Id, body, count]);

    /// <summary>Publishes as whoever may write to the stream can, with any headers.</summary>
    public async Task PublishRawAsync(string subject, string id, params (string Name, string Value)[] headers)
    {
        var all = new NatsHeaders();
        foreach (var (name, value) in headers)
        {
            all[name] = value;
        }

        (await JetStream.PublishAsync(subject, "{}"u8.ToArray(), opts: new NatsJSPubOpts { MsgId = id }, headers: all)).EnsureSuccess();
    }

    /// <summary>Waits until every event of a group is acknowledged or given up.</summary>
    public Task SettledAsync(string group) => Wait.UntilAsync(
        async () => (await JetStream.GetConsumerAsync(StreamNames.Webhooks, group)).Info is { NumPending: 0, NumAckPending: 0 }, $"group {group} has settled everything");

    internal ChildProcess Start(string language, string name, string group, string subject, IEnumerable<GraphWebhook> webhooks, params (string Name, string Value)[] settings)
    {
        var environment = new Dictionary<string, string?>
        {
            ["NATS_URL"] = Graph.Nats.Url,
            ["DATABASE_URL"] = $"{Graph.Uri}?sslmode=disable",
            ["STREAM_NAME"] = StreamNames.Webhooks,
            ["CONSUMER_NAME"] = name,
            ["QUEUE_GROUP"] = group,
            ["SUBJECT"] = subject,
            ["SIGNING_SECRETS"] = string.Join(',', webhooks.Select(webhook => string.Create(CultureInfo.InvariantCulture, $"{webhook.Id}={webhook.Secret}"))),
        };
        foreach (var (setting, value) in settings)
        {
            environment[setting] = value;
        }

        var worker = WorkerLanguage.Of(language);
        return ChildProcess.Start(worker.Command, worker.Arguments, environment);
    }

    internal async Task<ChildProcess> StartAsync(
        string language, string name, string group, string subject, IEnumerable<GraphWebhook> webhooks, params (string Name, string Value)[] settings)
    {
        var process = Start(language, name, group, subject, webhooks, settings);
        await SaysAsync(process, $"worker {name} takes {subject}");
        return process;
    }

    internal static async Task SaysAsync(ChildProcess process, string text)
    {
        try
        {
            await Wait.UntilAsync(() => process.HasExited || process.Output.Contains(text, StringComparison.Ordinal), $"the worker says \"{text}\"");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}; its output:\n{process.Output}", e);
        }

        Assert.Contains(text, process.Output, StringComparison.Ordinal);
    }
}
