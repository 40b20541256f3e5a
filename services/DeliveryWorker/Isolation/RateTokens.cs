using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>
/// This process's part of one endpoint's rate limit. The bucket is a row that all workers take from, in portions of a quarter of a second, so that a fast
/// endpoint does not cost a statement for each attempt.
/// </summary>
internal sealed class RateTokens(int webhookId, NpgsqlDataSource database, TimeProvider time)
{
    private static readonly TimeSpan KeptFor = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private Task? _asking;
    private int _held;
    private long _heldSince;
    private DateTimeOffset _noneBefore;

    /// <summary>Takes up to so many attempts; what is not used within a quarter of a second is forgotten, not saved up.</summary>
    /// <returns>How many may be made now.</returns>
    public async ValueTask<int> TakeAsync(DeliverySettings settings, int wanted, CancellationToken cancellationToken)
    {
        if (settings.RateLimit is not { } rate || wanted <= 0)
        {
            return wanted;
        }

        if (TakeHeld(wanted) is var held and > 0)
        {
            return held;
        }

        Task asking;
        lock (_lock)
        {
            if (time.GetUtcNow() < _noneBefore)
            {
                return 0;
            }

            // One question for all who ask meanwhile; nobody's cancellation takes it from the others.
            asking = _asking ??= AskAsync(Math.Max(wanted, (int)Math.Min(rate / 4, 1000)));
        }

        await asking.WaitAsync(cancellationToken);
        return TakeHeld(wanted);
    }

    /// <summary>Gives back what was taken and not used, while it is still worth something.</summary>
    public void GiveBack(int count)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_heldSince) <= KeptFor)
            {
                _held += count;
            }
        }
    }

    private int TakeHeld(int wanted)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_heldSince) > KeptFor)
            {
                _held = 0;
            }

            var taken = Math.Min(wanted, _held);
            _held -= taken;
            return taken;
        }
    }

    private async Task AskAsync(int wanted)
    {
        try
        {
            await Task.Yield(); // The caller holds the lock.
            await using var command = database.CreateCommand("SELECT granted, wait_ms FROM rule_webhook_take_tokens($1, $2)");
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = wanted });
            await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
            await reader.ReadAsync(CancellationToken.None);
            var (granted, wait) = (reader.GetInt32(0), reader.GetDouble(1));
            lock (_lock)
            {
                (_held, _heldSince) = (granted, time.GetTimestamp());
                _noneBefore = granted < wanted ? time.GetUtcNow() + TimeSpan.FromMilliseconds(wait) : default;
            }
        }
        finally
        {
            lock (_lock)
            {
                _asking = null;
            }
        }
    }
}
