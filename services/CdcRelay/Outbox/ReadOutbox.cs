using Microsoft.Extensions.Options;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.PgOutput;
using Npgsql.Replication.PgOutput.Messages;
using NpgsqlTypes;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Reads the outbox's inserts from the slot, in the order of their commits, and confirms the slot's place as they are settled.
/// Uncommitted and rolled-back rows never come here: the server sends a transaction when it has committed. It is handed on when others see it too.
/// </summary>
internal sealed partial class ReadOutbox(
    RelayConnections connections,
    NpgsqlDataSource dataSource,
    PublishOutboxRow publish,
    CommitVisibility visibility,
    WalProgress progress,
    IOptions<RelayOptions> options,
    TimeProvider time,
    ILogger<ReadOutbox> logger) : IAsyncDisposable
{
    private const int ReplayBatch = 500;

    private readonly LogicalReplicationConnection _connection = connections.CreateReplication();
    private readonly List<(OutboxRow Row, WalProgress.Transaction Transaction)> _replayed = [];
    private ulong _replayUntil;
    private ulong _firstReplayed;

    /// <summary>
    /// Every row that was committed at or before this position has been handed to <see cref="PublishOutboxRow"/>. The driver sets it when a
    /// message arrives: a keepalive comes after all that it covers, and a row's own message lies before its transaction's commit. While
    /// rows wait for the table to be asked, it is the position of the first of them.
    /// </summary>
    public ulong Received => Volatile.Read(ref _firstReplayed) is > 0 and var first ? first : (ulong)_connection.LastReceivedLsn;

    /// <param name="reading">Ends the reading.</param>
    /// <param name="working">Ends what is under way.</param>
    public async Task RunAsync(string slot, CancellationToken reading, CancellationToken working)
    {
        // What was committed until now may have been published and marked by an earlier leader, or by the scan, long enough ago that the
        // stream no longer knows its id. For these rows the table is asked first.
        _replayUntil = await CurrentLsnAsync(reading);
        await _connection.Open(reading);
        var stream = _connection.StartReplication(
            new PgOutputReplicationSlot(slot),
            new PgOutputReplicationOptions(options.Value.Publication, PgOutputProtocolVersion.V1, binary: true),
            reading);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(reading);
        var confirming = ConfirmAsync(ended.Token);
        try
        {
            await ReadAsync(stream, reading, working);
        }
        finally
        {
            await ended.CancelAsync();
            await confirming.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private async Task ReadAsync(IAsyncEnumerable<PgOutputReplicationMessage> stream, CancellationToken reading, CancellationToken working)
    {
        var (replaying, committedAt) = (false, default(DateTimeOffset));
        WalProgress.Transaction? transaction = null;
        await using var messages = stream.GetAsyncEnumerator(reading);
        while (true)
        {
            var next = messages.MoveNextAsync();
            if (_replayed.Count > 0 && (!next.IsCompleted || _replayed.Count >= ReplayBatch))
            {
                await SendReplayedAsync(reading, working);
            }

            if (!await next)
            {
                throw new InvalidOperationException("the server ended the replication");
            }

            switch (messages.Current)
            {
                case BeginMessage begin:
                    transaction = progress.Begin();
                    replaying = (ulong)begin.TransactionFinalLsn <= _replayUntil;
                    committedAt = new(begin.TransactionCommitTimestamp);
                    break;
                case InsertMessage insert when transaction is not null:
                    var row = await DecodeOutboxRow.FromWalAsync(insert, committedAt, reading);
                    transaction.RowTaken();
                    await visibility.WaitAsync(row.Xid, reading);
                    if (replaying)
                    {
                        if (_replayed.Count == 0)
                        {
                            Volatile.Write(ref _firstReplayed, (ulong)insert.WalStart);
                        }

                        _replayed.Add((row, transaction));
                    }
                    else
                    {
                        await SendReplayedAsync(reading, working);
                        await publish.SendAsync(row, transaction, reading, working);
                    }

                    break;
                case CommitMessage commit:
                    transaction?.Ended((ulong)commit.TransactionEndLsn);
                    transaction = null;
                    break;
            }
        }
    }

    private async Task SendReplayedAsync(CancellationToken reading, CancellationToken working)
    {
        if (_replayed.Count == 0)
        {
            return;
        }

        var finished = new HashSet<long>(_replayed.Count);
        await using (var command = dataSource.CreateCommand(
            "SELECT publish_id FROM rule_nats_publish_history WHERE publish_id = ANY($1) AND publish_id BETWEEN $2 AND $3 AND state <> 'pending'"))
        {
            command.Parameters.Add(new() { Value = _replayed.Select(item => item.Row.PublishId).ToArray() });
            command.Parameters.Add(new() { Value = _replayed.Min(item => item.Row.PublishId) });
            command.Parameters.Add(new() { Value = _replayed.Max(item => item.Row.PublishId) });
            await using var reader = await command.ExecuteReaderAsync(reading);
            while (await reader.ReadAsync(reading))
            {
                finished.Add(reader.GetInt64(0));
            }
        }

        Replayed(_replayed.Count, _replayed.Count - finished.Count);
        foreach (var (row, transaction) in _replayed)
        {
            if (finished.Contains(row.PublishId))
            {
                transaction.RowSettled();
            }
            else
            {
                await publish.SendAsync(row, transaction, reading, working);
            }
        }

        _replayed.Clear();
        Volatile.Write(ref _firstReplayed, 0);
    }

    private async Task ConfirmAsync(CancellationToken cancellationToken)
    {
        var told = 0UL;
        while (true)
        {
            await Task.Delay(options.Value.ConfirmInterval, time, cancellationToken);
            progress.Idle(Received);
            var confirmed = progress.Confirmed;
            if (confirmed <= told)
            {
                continue;
            }

            _connection.SetReplicationStatus(new NpgsqlLogSequenceNumber(confirmed));
            try
            {
                await _connection.SendStatusUpdate(cancellationToken);
                told = confirmed;
            }
            catch (InvalidOperationException)
            {
                // Not replicating yet: the driver's timer sends it once it is.
            }
        }
    }

    private async Task<ulong> CurrentLsnAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT pg_current_wal_insert_lsn()");
        return (ulong)(NpgsqlLogSequenceNumber)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "the slot brought {Rows} rows again, {Pending} of them still pending")]
    private partial void Replayed(int rows, int pending);
}
