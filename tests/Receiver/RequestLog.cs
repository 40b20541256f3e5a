using System.Globalization;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver;

/// <summary>One request as the log shows it: nothing of the body, no query string, and of the headers only those that carry no secret.</summary>
internal sealed record LoggedRequest(
    long Number, DateTimeOffset At, string Method, string Path, string? Id, int Attempt, string Signature, long Bytes, string BodySha256, string Answer,
    IReadOnlyDictionary<string, string> Headers);

/// <summary>The last requests, and how often an id has come to a path: the attempt, as far as a receiver can know it.</summary>
internal sealed class RequestLog(int keep)
{
    private readonly Lock _lock = new();
    private readonly Queue<LoggedRequest> _requests = [];
    private readonly Dictionary<(string Path, string Id), int> _attempts = [];
    private long _number;

    public LoggedRequest Add(Func<long, int, LoggedRequest> make, string path, string? id)
    {
        lock (_lock)
        {
            var attempt = id is null ? 1 : _attempts[(path, id)] = _attempts.GetValueOrDefault((path, id)) + 1;
            var request = make(++_number, attempt);
            _requests.Enqueue(request);
            if (_requests.Count > keep)
            {
                Forget(_requests.Dequeue());
            }

            return request;
        }
    }

    /// <summary>The newest last.</summary>
    public LoggedRequest[] Last(int count)
    {
        lock (_lock)
        {
            return [.. _requests.Skip(Math.Max(0, _requests.Count - count))];
        }
    }

    /// <summary>The line for a person to look at.</summary>
    public static string Line(LoggedRequest request) => string.Create(
        CultureInfo.InvariantCulture,
        $"{request.At:HH:mm:ss.fff} {request.Method} {Printable(request.Path)} id={Printable(request.Id ?? "-")} attempt={request.Attempt} signature={request.Signature} {request.Bytes} B -> {request.Answer}");

    public static string Name(SignatureVerdict verdict) => verdict switch
    {
        SignatureVerdict.NotChecked => "not-checked",
        SignatureVerdict.Verified => "verified",
        SignatureVerdict.HeadersMissing => "headers-missing",
        SignatureVerdict.TimestampInvalid => "timestamp-invalid",
        SignatureVerdict.TooOld => "too-old",
        SignatureVerdict.TooNew => "too-new",
        SignatureVerdict.NoKnownVersion => "no-v1",
        _ => "mismatch",
    };

    // The count of an id goes with its last request, so that the log stays as small as it is long.
    private void Forget(LoggedRequest request)
    {
        if (request.Id is { } id && _attempts.GetValueOrDefault((request.Path, id)) == request.Attempt)
        {
            _attempts.Remove((request.Path, id));
        }
    }

    // A path may hold line ends and what moves a terminal's cursor.
    private static string Printable(string text)
        => new([.. text.Take(200).Select(character => char.IsControl(character) || char.IsWhiteSpace(character) ? '?' : character)]);
}
