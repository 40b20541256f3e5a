using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Egress;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>One signed request to one endpoint, and what became of it. Every way it can go is an outcome; only a stop of the worker is an exception.</summary>
internal sealed partial class PostWebhook(
    DeliveryClient client, IOptions<DeliveryOptions> options, TimeProvider time, ILogger<PostWebhook> logger)
{
    /// <summary>What is kept of an answer, in bytes; the rest is not read.</summary>
    public const int MaxResponseBody = 16 * 1024;

    /// <exception cref="OperationCanceledException">The worker stops; whether the receiver got the request is unknown.</exception>
    public async Task<Attempt> SendAsync(Endpoint endpoint, OutgoingEvent outgoing, int number, CancellationToken cancellationToken)
    {
        using var activity = StartActivity(endpoint, outgoing, number);
        var started = time.GetUtcNow();
        var clock = time.GetTimestamp();
        using var counted = DeliveryMetrics.Sending();
        var answer = await ExchangeAsync(endpoint, outgoing, started, activity, cancellationToken);
        var attempt = new Attempt(endpoint.Id, number, started, time.GetElapsedTime(clock), answer.Outcome)
        {
            ResponseBody = answer.Body,
            ResponseContentType = answer.ContentType,
        };
        Report(endpoint, outgoing, attempt, activity);
        return attempt;
    }

    private async Task<Answer> ExchangeAsync(
        Endpoint endpoint, OutgoingEvent outgoing, DateTimeOffset started, Activity? activity, CancellationToken cancellationToken)
    {
        if (endpoint.Target.Problem is { } blocked)
        {
            return new(new DeliveryOutcome.AddressBlocked(DeliveryStage.Prepare, blocked));
        }

        if (endpoint.Headers.Problem is { } refused)
        {
            return new(new DeliveryOutcome.RequestRefused(refused));
        }

        if (endpoint.SecretProblem is { } unreadable)
        {
            return new(new DeliveryOutcome.NotSigned(unreadable));
        }

        var payload = RequestPayload.Make(endpoint, outgoing, started);
        if (payload.Problem is { } unmade)
        {
            return new(new DeliveryOutcome.PayloadRefused(unmade));
        }

        var timeout = endpoint.Timeout < options.Value.MaxTimeout ? endpoint.Timeout : options.Value.MaxTimeout;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        var stage = DeliveryStage.Connect;
        try
        {
            using var request = CreateRequest(endpoint, outgoing, payload, started, activity);
            stage = DeliveryStage.Exchange;
            using var response = await client.SendAsync(request, limit.Token);
            var status = (int)response.StatusCode;
            DeliveryOutcome outcome = status is >= 200 and < 300 ? new DeliveryOutcome.Delivered(status) : new DeliveryOutcome.Rejected(status);
            return new(outcome, await ReadBodyAsync(response, limit.Token, cancellationToken), response.Content.Headers.ContentType?.MediaType);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (OperationCanceledException e)
        {
            // The handler cancels by itself when connecting took too long, and says so with an inner TimeoutException.
            return limit.IsCancellationRequested || e.InnerException is not TimeoutException
                ? new(new DeliveryOutcome.TimedOut(stage, timeout))
                : new(new DeliveryOutcome.TimedOut(DeliveryStage.Connect, options.Value.Egress.ConnectTimeout));
        }
        catch (HttpRequestException e)
        {
            return new(Classify(e));
        }
    }

    private static HttpRequestMessage CreateRequest(
        Endpoint endpoint, OutgoingEvent outgoing, RequestPayload payload, DateTimeOffset started, Activity? activity)
    {
        var own = endpoint.Headers;
        // The endpoint's own settings win over ours and over the event's.
        var content = payload.ToContent(withContentType: !own.Has("Content-Type"));
        var request = new HttpRequestMessage(endpoint.Method, endpoint.Target.Uri) { Content = content };
        if (!own.Has("User-Agent"))
        {
            request.Headers.TryAddWithoutValidation("User-Agent", DeliveryWorkerInfo.UserAgent);
        }

        foreach (var (name, value) in outgoing.Headers)
        {
            if (!own.Has(name) && !(payload.IsStructured && StructuredEvent.IsAttributeHeader(name)))
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        foreach (var (name, value) in own.Values)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        var timestamp = started.ToUnixTimeSeconds();
        request.Headers.TryAddWithoutValidation(WebhookHeaders.Id, outgoing.EventId);
        request.Headers.TryAddWithoutValidation(WebhookHeaders.Timestamp, timestamp.ToString(CultureInfo.InvariantCulture));
        if (endpoint.SigningKeys.Count > 0)
        {
            var signature = WebhookSignature.Compute(outgoing.EventId, timestamp, payload.Signed.Span, endpoint.SigningKeys);
            request.Headers.TryAddWithoutValidation(WebhookHeaders.Signature, signature);
        }

        // With a span of ours the client adds the header itself; without a listener the event's own context still has to arrive.
        if (activity is null && outgoing.TraceParent is { } trace && ActivityContext.TryParse(trace, null, out _))
        {
            request.Headers.TryAddWithoutValidation(EventHeaders.TraceParent, trace);
        }

        return request;
    }

    // The status decides; a body that breaks off or never ends changes nothing about it.
    private static async Task<string?> ReadBodyAsync(HttpResponseMessage response, CancellationToken limit, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(MaxResponseBody);
        var length = 0;
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(limit);
            while (length < MaxResponseBody)
            {
                var read = await stream.ReadAsync(buffer.AsMemory(length, MaxResponseBody - length), limit);
                if (read == 0)
                {
                    break;
                }

                length += read;
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // What came until then is kept.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return length == 0 ? null : ResponseText.Decode(buffer.AsSpan(0, length), MaxResponseBody);
    }

    private static DeliveryOutcome Classify(HttpRequestException exception)
    {
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case AddressBlockedException blocked:
                    return new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, blocked.Message);
                case System.Net.Sockets.SocketException socket when exception.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError:
                    return new DeliveryOutcome.ConnectFailed(socket.SocketErrorCode.ToString());
            }
        }

        return exception.HttpRequestError switch
        {
            HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError => new DeliveryOutcome.ConnectFailed(exception.HttpRequestError.ToString()),
            HttpRequestError.SecureConnectionError => new DeliveryOutcome.ConnectFailed("TLS"),
            var error => new DeliveryOutcome.Broken(error.ToString()),
        };
    }

    private static Activity? StartActivity(Endpoint endpoint, OutgoingEvent outgoing, int number)
    {
        ActivityContext.TryParse(outgoing.TraceParent, null, isRemote: true, out var parent);
        var activity = Telemetry.Source.StartActivity("deliver " + endpoint.Name, ActivityKind.Consumer, parent);
        return activity?
            .SetTag("messaging.message.id", outgoing.EventId)
            .SetTag("messaging.destination.name", outgoing.Subject)
            .SetTag("rule.webhook.id", endpoint.Id)
            .SetTag("rule.delivery.attempt", number);
    }

    private void Report(Endpoint endpoint, OutgoingEvent outgoing, Attempt attempt, Activity? activity)
    {
        var outcome = attempt.Outcome;
        DeliveryMetrics.Attempted(outcome, attempt.Duration);
        if (activity is not null)
        {
            activity.SetTag("rule.delivery.outcome", outcome.Code);
            activity.SetStatus(outcome.Error is null ? ActivityStatusCode.Ok : ActivityStatusCode.Error, outcome.Error);
        }

        if (logger.IsEnabled(LogLevel.Information))
        {
            LogAttempt(
                outgoing.EventId, endpoint.Id, attempt.Number, outcome.Code, outcome.Stage, outcome.Status, attempt.Duration.TotalMilliseconds,
                outgoing.Body.Length, outgoing.Stream, outgoing.StreamSequence, outgoing.CallId, outcome.Error);
        }
    }

    private readonly record struct Answer(DeliveryOutcome Outcome, string? Body = null, string? ContentType = null);

    [LoggerMessage(Level = LogLevel.Information, EventName = "delivery.attempted",
        Message = "event {EventId} to webhook {WebhookId}, attempt {Attempt}: {Outcome} at {Stage}, status {Status}, {DurationMs:0.0} ms, {Bytes} bytes, stream {Stream} {Sequence}, call {CallId} {Error}")]
    private partial void LogAttempt(
        string eventId, int webhookId, int attempt, string outcome, DeliveryStage stage, int? status, double durationMs, int bytes, string? stream, long? sequence,
        long? callId, string? error);
}
