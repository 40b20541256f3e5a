using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Routing;

/// <summary>The routes of the newest configuration snapshot; made once for each.</summary>
internal sealed class Routes(ConfigWatcher configuration, IOptions<DeliveryOptions> options, TimeProvider time)
{
    private const int MostLooked = 10_000;

    private static readonly TimeSpan GoneFor = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MovedFor = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(int WebhookId, string? Subject), long> _looked = new();
    private Made? _made;

    /// <summary>
    /// The routes for an event that was published through a webhook. One transaction may register it, or give it another subject, and publish, and the
    /// event can be here before the notification of the change has been followed: a webhook that is not known, or publishes to another subject, is looked
    /// for once before the event is routed without it.
    /// </summary>
    public async ValueTask<RouteTable> ForAsync(int? publishedThrough, string subject, CancellationToken cancellationToken)
    {
        if (publishedThrough is not { } id || Find(id) is { } webhook && webhook.Subject == subject)
        {
            return Current;
        }

        var (key, rest) = Find(id) is null ? ((id, (string?)null), GoneFor) : ((id, subject), MovedFor);
        if (!_looked.TryGetValue(key, out var since) || time.GetElapsedTime(since) >= rest)
        {
            await configuration.RefreshSharedAsync(cancellationToken);
            if (Find(id)?.Subject != subject)
            {
                Remember(key);
            }
        }

        return Current;
    }

    /// <summary>The endpoints that are on; empty until the first snapshot is there.</summary>
    public RouteTable Current => Newest.On;

    /// <summary>Those that are off.</summary>
    public RouteTable Off => Newest.Off;

    /// <summary>The endpoint that a call goes to: one that is on, or that a probe may switch on.</summary>
    public Endpoint? FindForCalls(int webhookId)
    {
        var made = Newest;
        return made.On.Find(webhookId) ?? (made.Off.Find(webhookId) is { MayRecover: true } recovering ? recovering : null);
    }

    private Made Newest
    {
        get
        {
            var newest = configuration.Current;
            var made = _made;
            if (made is null || !ReferenceEquals(made.From, newest))
            {
                var now = time.GetUtcNow();
                var endpoints = newest.Webhooks.ToLookup(webhook => webhook.Enabled, webhook => ToEndpoint(webhook, options.Value.Egress, now));
                _made = made = new(newest, new RouteTable(endpoints[true]), new RouteTable(endpoints[false]));
            }

            return made;
        }
    }

    // A webhook that events are published through has NATS on; one that has not is older than the event.
    private WebhookDefinition? Find(int webhookId) => configuration.Current.WebhooksById.GetValueOrDefault(webhookId) is { NatsEnabled: true } webhook ? webhook : null;

    // Subjects of the past come as long as their events do; no need to keep them for ever.
    private void Remember((int, string?) key)
    {
        if (_looked.Count >= MostLooked)
        {
            _looked.Clear();
        }

        _looked[key] = time.GetTimestamp();
    }

    internal static Endpoint ToEndpoint(WebhookDefinition webhook, EgressOptions egress, DateTimeOffset now)
    {
        var secrets = webhook.Secrets.Where(secret => IsForSigning(secret) && !(secret.ExpiresAt <= now)).ToArray();
        return new(webhook.Id, webhook.Name)
        {
            Filter = webhook.NatsEnabled ? webhook.Filter : null,
            Target = TargetUrl.Check(webhook.Url, egress),
            Method = HttpMethod.Parse(webhook.Method),
            Headers = EndpointHeaders.Check([.. webhook.Headers]),
            // Sending without a signature where one was asked for would be worse than not sending.
            SecretProblem = secrets.Select(FindProblem).FirstOrDefault(problem => problem is not null),
            Timeout = webhook.Timeout,
            RetryDelays = webhook.RetryDelays,
            RetriesEnabled = webhook.RetryEnabled,
            Delivery = webhook.Delivery,
            Off = webhook.Enabled ? null : "Webhook is disabled",
            MayRecover = !webhook.Enabled && webhook.DisabledBy == "failures",
            SignatureProfile = webhook.Delivery.SignatureProfile,
            // A rotation ends the older one, whichever row is newer.
            SigningKeys = [.. secrets.Where(secret => FindProblem(secret) is null)
                .OrderByDescending(secret => secret.ExpiresAt ?? DateTimeOffset.MaxValue).Select(secret => SigningKey.Parse(secret.Value, secret.ExpiresAt))],
            Authorization = EndpointAuthorization.Of(webhook, egress),
            Payload = PayloadSettings.Of(webhook.Delivery),
        };
    }

    private static string? FindProblem(WebhookSecret secret)
        => secret.Problem ?? (SigningKey.FindProblem(secret.Value) is { } problem ? $"the secret {secret.Name} {problem}" : null);

    // Secrets of other purposes lie in the same table: signing ones are named so (rule_webhook_register makes "signing", a rotation adds
    // "signing-…"), or say by their prefix what they are; of one that cannot be read nobody knows.
    private static bool IsForSigning(WebhookSecret secret)
        => secret.Name != EndpointAuthorization.SecretName
            && (secret.Name.StartsWith("signing", StringComparison.OrdinalIgnoreCase) || secret.Value.StartsWith("whsec_", StringComparison.Ordinal)
                || secret.Value.StartsWith(Ed25519Key.PrivatePrefix, StringComparison.Ordinal) || secret.Problem is not null);

    private sealed record Made(ConfigSnapshot From, RouteTable On, RouteTable Off);
}
