using Npgsql;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Holds a row back until other sessions see its transaction. The WAL brings a commit when it is on disk, which is a moment before that; with a synchronous
/// standby, as long before as the standby takes. Whoever hears of an event may look at once for what it tells of: the delivery worker for the call
/// row and the webhook that the same transaction wrote, others for the rows of the application.
/// </summary>
internal sealed partial class CommitVisibility(NpgsqlDataSource dataSource, TimeProvider time, ILogger<CommitVisibility> logger) : IAsyncDisposable
{
    // Between two looks: half a millisecond for each row that the last one let go. The commits of a busy database then go on in batches, and whoever
    // handles them is woken once for many: without it the relay, nats-server and the walsender spend more on being woken than on the rows.
    private static readonly TimeSpan ForEachRow = TimeSpan.FromMilliseconds(0.5);
    private static readonly TimeSpan ShortestGap = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestGap = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(0.5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Unusual = TimeSpan.FromSeconds(1);

    // What was seen once stays seen, and one look sees all that committed until then: a backlog costs one.
    private TransactionSnapshot _seen = TransactionSnapshot.Nothing;
    private NpgsqlCommand? _look;
    private long _lookedAt;
    private int _letGo;

    /// <summary>Returns when a query that begins afterwards sees the transaction. Rows are held back in the order of their commits.</summary>
    public async ValueTask WaitAsync(ulong xid, CancellationToken cancellationToken)
    {
        if (_seen.Sees(xid))
        {
            _letGo++;
            return;
        }

        var (since, reported) = (time.GetTimestamp(), false);
        var gap = TimeSpan.FromTicks(Math.Clamp((_letGo * ForEachRow).Ticks, ShortestGap.Ticks, LongestGap.Ticks));
        if (gap - time.GetElapsedTime(_lookedAt) is var early && early > TimeSpan.Zero)
        {
            await Task.Delay(early, time, cancellationToken);
        }

        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            _seen = await LookAsync(cancellationToken);
            _lookedAt = time.GetTimestamp();
            if (_seen.Sees(xid))
            {
                _letGo = 1;
                return;
            }

            if (!reported && time.GetElapsedTime(since) > Unusual)
            {
                reported = true;
                NotVisible(xid);
            }

            await Task.Delay(pause, time, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_look is { Connection: { } connection })
        {
            await connection.DisposeAsync();
        }
    }

    // Prepared on a connection of its own: it runs for nearly every commit.
    private async Task<TransactionSnapshot> LookAsync(CancellationToken cancellationToken)
    {
        if (_look is null)
        {
            _look = new("SELECT pg_current_snapshot()::text", await dataSource.OpenConnectionAsync(cancellationToken));
            await _look.PrepareAsync(cancellationToken);
        }

        return TransactionSnapshot.Parse((string)(await _look.ExecuteScalarAsync(cancellationToken))!);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "transaction {Xid} is committed and still not visible; its events and later ones wait (does a synchronous standby answer?)")]
    private partial void NotVisible(ulong xid);
}

/// <summary>What a session sees, as PostgreSQL writes it: <c>xmin:xmax:xip,xip</c>. Of transactions known to be committed, all below xmin and those below xmax that are not listed.</summary>
internal readonly record struct TransactionSnapshot(ulong Xmin, ulong Xmax, ulong[] InProgress)
{
    public static TransactionSnapshot Nothing { get; } = new(0, 0, []);

    public static TransactionSnapshot Parse(string text)
    {
        var parts = text.Split(':');
        return new(Number(parts[0]), Number(parts[1]), [.. parts[2].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Number)]);

        static ulong Number(string digits) => ulong.Parse(digits, System.Globalization.CultureInfo.InvariantCulture);
    }

    public bool Sees(ulong xid) => xid < Xmin || (xid < Xmax && !InProgress.AsSpan().Contains(xid));
}
