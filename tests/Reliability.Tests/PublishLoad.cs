using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>
/// 8 writers with transactions of 10 events. Of ten transactions one is rolled back, one rolls half of it back to a savepoint, and one says
/// an earlier event again; half of the events have a message id of their own. It goes on until it has committed <see cref="Events"/>
/// events and the test has done what it wanted to do meanwhile. Where it is ahead of the test (<see cref="MayReach"/>), one writer alone goes on:
/// without that all of the events would be there before the second kill.
/// </summary>
internal sealed class PublishLoad(NpgsqlDataSource database, GraphWebhook webhook)
{
    public const int Events = 5_000;
    private const int Writers = 8;
    private const int PerTransaction = 10;

    // About 600 events a second, so that the load outlasts several restarts.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(130);

    private readonly ConcurrentDictionary<string, byte> _committed = new();
    private readonly ConcurrentDictionary<string, byte> _rolledBack = new();
    private int _repeats;
    private int _wrongRepeats;
    private volatile int _mayReach = int.MaxValue;
    private volatile bool _mayStop;

    /// <summary>Ids (Nats-Msg-Id) of the events that were committed.</summary>
    public ICollection<string> Committed => _committed.Keys;

    /// <summary>Ids of the events whose transaction or savepoint was rolled back.</summary>
    public ICollection<string> RolledBack => _rolledBack.Keys;

    public int Count => _committed.Count;

    public int Repeats => _repeats;

    /// <summary>Repeats that were not answered as a duplicate of the first.</summary>
    public int WrongRepeats => _wrongRepeats;

    /// <summary>How many events may be committed at the full pace.</summary>
    public void MayReach(int count) => _mayReach = count;

    public void MayStop()
    {
        _mayReach = int.MaxValue;
        _mayStop = true;
    }

    public Task RunAsync(CancellationToken cancellationToken)
        => Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => WriteAsync(writer, cancellationToken)));

    private async Task WriteAsync(int writer, CancellationToken cancellationToken)
    {
        using var pace = new PeriodicTimer(Pace);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        (int Number, string Id)? earlier = null;
        for (var number = 0; Count < Events || !_mayStop; number++)
        {
            await pace.WaitForNextTickAsync(cancellationToken);
            if (writer > 0 && Count >= _mayReach)
            {
                continue;
            }

            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            var kept = new List<(int Number, string Id)>();
            for (var index = 0; index < PerTransaction; index++)
            {
                var half = index == PerTransaction / 2;
                if (half && number % 10 == 4)
                {
                    await transaction.SaveAsync("half", cancellationToken);
                }

                var eventNumber = (((number * PerTransaction) + index) * Writers) + writer;
                kept.Add((eventNumber, (await PublishAsync(connection, eventNumber, cancellationToken)).Id));
            }

            if (number % 10 == 2 && earlier is { } first)
            {
                var (id, duplicate) = await PublishAsync(connection, first.Number, cancellationToken);
                Interlocked.Increment(ref _repeats);
                Interlocked.Add(ref _wrongRepeats, duplicate && id == first.Id ? 0 : 1);
            }

            if (number % 10 == 4)
            {
                await transaction.RollbackAsync("half", cancellationToken);
                Add(_rolledBack, kept.Skip(PerTransaction / 2));
                kept.RemoveRange(PerTransaction / 2, PerTransaction / 2);
            }

            if (number % 10 == 9)
            {
                await transaction.RollbackAsync(cancellationToken);
                Add(_rolledBack, kept);
            }
            else
            {
                await transaction.CommitAsync(cancellationToken);
                Add(_committed, kept);
                earlier = kept.First(item => HasMessageId(item.Number));
            }
        }
    }

    private async Task<(string Id, bool Duplicate)> PublishAsync(NpgsqlConnection connection, int number, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT r ->> 'nats_msg_id', (r ->> 'duplicate')::boolean
              FROM rule_webhook_publish_nats($1, jsonb_build_object('number', $2::int, 'text', 'it''s ordinary'), $3) r
            """, connection)
        {
            Parameters =
            {
                new() { Value = webhook.Id },
                new() { Value = number },
                new() { Value = HasMessageId(number) ? string.Create(CultureInfo.InvariantCulture, $"order-{number}") : DBNull.Value },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (reader.GetString(0), reader.GetBoolean(1));
    }

    private static bool HasMessageId(int number) => number / Writers % 2 == 0;

    private static void Add(ConcurrentDictionary<string, byte> ids, IEnumerable<(int Number, string Id)> events)
    {
        foreach (var (_, id) in events)
        {
            ids[id] = 0;
        }
    }
}
