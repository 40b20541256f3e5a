using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>Puts a small event in the place of a change that a stream does not take because of its size, and the change itself into a file.</summary>
/// <param name="format">How the small event looks.</param>
/// <param name="file">Where the changes go; null for nowhere. Its own from here on.</param>
internal sealed partial class DeadLetters(CaptureOptions options, EventFormat format, LineOutput? file, ILogger<DeadLetters> logger) : IAsyncDisposable
{
    private static readonly Counter<long> Counter = Telemetry.Meter.CreateCounter<long>("rule.cdc.oversized", "{event}", "Changes replaced by a small event because of their size, by stream");

    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly ChangeSubjects _subjects = new(options.SubjectPrefix);

    /// <summary>The event to send: at the same position and with the same id. The change is on the disk by then.</summary>
    /// <param name="limit">Bytes that the stream takes.</param>
    public async ValueTask<OutgoingEvent> ReplaceAsync(OutgoingEvent outgoing, int limit, CancellationToken cancellationToken)
    {
        var oversized = outgoing.Replacement! with
        {
            Bytes = outgoing.Body.Length,
            Limit = limit,
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(outgoing.Body)),
        };
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (file is not null)
            {
                await file.WriteAsync(outgoing, cancellationToken);
                await file.FlushAsync(cancellationToken);
                await file.SyncAsync(cancellationToken);
            }

            Counter.Add(1, new KeyValuePair<string, object?>("stream", options.NatsStream));
            Replaced(outgoing.MessageId, outgoing.Subject, outgoing.Body.Length, limit, oversized.Sha256, options.NatsStream, options.DeadLetterFile ?? "nowhere");
            var body = format.Format(new(oversized, outgoing.Position, oversized.Lsn, outgoing.Transaction))!;
            return outgoing with { Subject = _subjects.Of(oversized), Body = body, Replacement = null };
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (file is not null)
        {
            await file.DisposeAsync();
        }

        _gate.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "event {MessageId} on {Subject} has {Bytes} bytes, the limit is {Limit}: stream {Stream} gets an event of its size and key instead (sha256 {Sha256}); the whole of it goes to {File}")]
    private partial void Replaced(string messageId, string subject, int bytes, int limit, string sha256, string stream, string file);
}
