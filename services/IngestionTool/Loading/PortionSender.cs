using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text.Json;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>Sends a portion until each of its lines has a verdict. Every attempt has the same key, so that the API stores nothing twice.</summary>
internal sealed class PortionSender(ApiClient api, LoadOptions options, string content, Patience patience, Action<string> retried, TimeProvider time)
{
    private const int AnswerBlock = 16 * 1024;

    private static readonly MediaTypeHeaderValue Ndjson = new("application/x-ndjson");

    private readonly string _path = options.Entity is null ? "ingest/batch" : $"ingest/batch/{Uri.EscapeDataString(options.Entity)}";

    /// <param name="stop">Ends the waiting for another attempt.</param>
    /// <param name="abandon">Ends an attempt, too.</param>
    /// <exception cref="ApiRefusedException">The API refuses the portion as a whole.</exception>
    /// <exception cref="ApiUnreachableException">The patience is over.</exception>
    public async Task<PortionVerdicts> SendAsync(Portion portion, CancellationToken stop, CancellationToken abandon)
    {
        if (portion.Count == 0)
        {
            return Finished(new(portion));
        }

        var body = options.Gzip ? Compressed(portion.Body) : portion.Body;
        for (var attempt = 1; ; attempt++)
        {
            var (verdicts, reason, after) = await AttemptAsync(portion, body, abandon);
            if (verdicts is not null)
            {
                patience.Succeeded();
                return Finished(verdicts);
            }

            if (patience.IsOver)
            {
                throw new ApiUnreachableException($"{api.Url} has answered nothing for {patience.Limit.TotalSeconds:0} s; the last was: {reason}");
            }

            retried(reason!);
            await Task.Delay(RetryPause.After(attempt, after, Random.Shared.NextDouble()), time, stop);
        }
    }

    private static PortionVerdicts Finished(PortionVerdicts verdicts)
    {
        verdicts.AddRefused();
        return verdicts;
    }

    private async Task<(PortionVerdicts? Verdicts, string? Reason, TimeSpan? After)> AttemptAsync(Portion portion, ReadOnlyMemory<byte> body, CancellationToken abandon)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(abandon);
        limit.CancelAfter(options.Timeout);
        try
        {
            using var request = Request(portion, body);
            using var response = await api.SendAsync(request, limit.Token);
            return !response.IsSuccessStatusCode ? Refused(await api.ProblemAsync(response, limit.Token))
                : response.Content.Headers.ContentType?.MediaType == Ndjson.MediaType ? await ReadAsync(portion, response, limit.Token)
                : throw new ApiRefusedException($"{api.Url} does not answer as the ingestion API does; is --url right?");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (null, e.InnerException?.Message ?? e.Message, null);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return (null, "the answer is not one of the ingestion API", null);
        }
        catch (OperationCanceledException) when (!abandon.IsCancellationRequested)
        {
            return (null, $"no whole answer within {options.Timeout.TotalSeconds:0} s", null);
        }
    }

    private static (PortionVerdicts?, string?, TimeSpan?) Refused(ApiProblem problem)
        => problem.MayPass ? (null, problem.Text, problem.RetryAfter) : throw new ApiRefusedException(problem.Text);

    private static async Task<(PortionVerdicts?, string?, TimeSpan?)> ReadAsync(Portion portion, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var verdicts = new PortionVerdicts(portion);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var line in new NdjsonLines(stream, block: AnswerBlock).ReadAsync(cancellationToken))
        {
            if (line is { Unterminated: false, IsBlank: false })
            {
                verdicts.Read(line.Document.Span);
            }
        }

        return verdicts switch
        {
            { Ended: { } ended } => throw new ApiRefusedException($"{ended}; --batch sends fewer lines in a request"),
            { Unavailable: > 0 and var lines } => (null, $"{lines} lines could not be stored now", response.Headers.RetryAfter?.Delta),
            { IsComplete: false } => (null, "the answer ends before its end", null),
            _ => (verdicts, null, null),
        };
    }

    private HttpRequestMessage Request(Portion portion, ReadOnlyMemory<byte> body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _path) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = Ndjson;
        request.Headers.Accept.ParseAdd(Ndjson.MediaType);
        request.Headers.Add("Idempotency-Key", options.KeyOf(content, portion.FirstLine));
        if (options.Gzip)
        {
            request.Content.Headers.ContentEncoding.Add("gzip");
        }

        if (options.Source is not null)
        {
            request.Headers.Add("X-Source", options.Source);
        }

        return request;
    }

    private static byte[] Compressed(ReadOnlyMemory<byte> body)
    {
        var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(body.Span);
        }

        return output.ToArray();
    }
}
