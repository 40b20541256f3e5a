using System.Buffers;
using System.Diagnostics;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Egress;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Signing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>One signed request to one endpoint, and what became of it. Every way it can go is an outcome; only a stop of the worker is an exception.</summary>
internal sealed partial class PostWebhook(
    Authorize authorize, IOptions<DeliveryOptions> options, TimeProvider time, ILogger<PostWebhook> logger)
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
        var trace = new ExchangeTrace();
        var answer = await ExchangeAsync(endpoint, outgoing, started, activity, trace, cancellationToken);
        var attempt = new Attempt(number, started, time.GetElapsedTime(clock), answer.Outcome)
        {
            ResponseBody = answer.Body,
            ResponseHeaders = answer.Headers,
            Trace = answer.Outcome.Stage is DeliveryStage.Prepare ? null : trace,
        };
        Report(endpoint, outgoing, attempt, activity);
        return attempt;
    }

    private async Task<Answer> ExchangeAsync(
        Endpoint endpoint, OutgoingEvent outgoing, DateTimeOffset started, Activity? activity, ExchangeTrace trace, CancellationToken cancellationToken)
    {
        if (FindRefusal(endpoint, outgoing, started) is { } refused)
        {
            return new(refused);
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
            using var grant = await authorize.GrantAsync(endpoint, limit.Token);
            if (grant.Refused is { } unauthorized)
            {
                return new(unauthorized);
            }

            stage = DeliveryStage.Exchange;
            ExchangeTrace.Current = trace;
            var sent = time.GetTimestamp();
            using var response = await authorize.SendAsync(grant, () => CreateRequest(endpoint, outgoing, payload, started, activity, trace), limit.Token);
            trace.FirstByte = time.GetElapsedTime(sent);
            var status = (int)response.StatusCode;
            DeliveryOutcome outcome = status is >= 200 and < 300 ? new DeliveryOutcome.Delivered(status) : new DeliveryOutcome.Rejected(status, RetryAfter.Of(response, started));
            return new(outcome, await ReadBodyAsync(response, limit.Token, cancellationToken), KeptHeaders.Of(response, endpoint.Delivery.ResponseHeadersKept));
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

    // What the endpoint's own settings forbid, and what is not there; nothing is sent then.
    private static DeliveryOutcome? FindRefusal(Endpoint endpoint, OutgoingEvent outgoing, DateTimeOffset started)
        => outgoing.BodyMissing is { } missing ? new DeliveryOutcome.PayloadMissing(missing)
            : endpoint.Target.Problem is { } blocked ? new DeliveryOutcome.AddressBlocked(DeliveryStage.Prepare, blocked)
            : endpoint.Headers.Problem is { } headers ? new DeliveryOutcome.RequestRefused(headers)
            : SignRequest.FindProblem(endpoint, started) is { } unsigned ? new DeliveryOutcome.NotSigned(unsigned)
            : null;

    private static HttpRequestMessage CreateRequest(
        Endpoint endpoint, OutgoingEvent outgoing, RequestPayload payload, DateTimeOffset started, Activity? activity, ExchangeTrace trace)
    {
        var own = endpoint.Headers;
        // The endpoint's own settings win over ours and over the event's.
        var content = payload.ToContent(withContentType: !own.Has("Content-Type"));
        var request = new HttpRequestMessage(endpoint.Method, endpoint.Target.Uri) { Content = content };
        request.Options.Set(ExchangeTrace.Key, trace);
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

        SignRequest.Add(request, endpoint, outgoing.EventId, started, payload.Signed.Span);

        // With a span of ours the client adds the header itself; without a listener the event's own context still has to arrive.
        if (activity is null && outgoing.TraceParent is { } parent && ActivityContext.TryParse(parent, null, out _))
        {
            request.Headers.TryAddWithoutValidation(EventHeaders.TraceParent, parent);
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

    internal static DeliveryOutcome Classify(HttpRequestException exception)
    {
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case AddressBlockedException blocked:
                    return new DeliveryOutcome.AddressBlocked(DeliveryStage.Connect, blocked.Message);
                case ProxyRefusedException proxy:
                    return new DeliveryOutcome.ConnectFailed(proxy.Message);
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

    private readonly record struct Answer(DeliveryOutcome Outcome, string? Body = null, Dictionary<string, string>? Headers = null);

    [LoggerMessage(Level = LogLevel.Information, EventName = "delivery.attempted",
        Message = "event {EventId} to webhook {WebhookId}, attempt {Attempt}: {Outcome} at {Stage}, status {Status}, {DurationMs:0.0} ms, {Bytes} bytes, stream {Stream} {Sequence}, call {CallId} {Error}")]
    private partial void LogAttempt(
        string eventId, int webhookId, int attempt, string outcome, DeliveryStage stage, int? status, double durationMs, int bytes, string? stream, long? sequence,
        long? callId, string? error);
}
