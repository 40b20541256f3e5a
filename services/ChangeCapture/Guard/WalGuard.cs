using System.Text.Json;
using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>
/// Watches the WAL that the slot holds, from the moment there is a slot and while the outputs are away too: speaks before the server gives the slot up, and
/// carries out the policy. Sends the heartbeats.
/// </summary>
internal sealed partial class WalGuard(CaptureOptions options, CaptureSource source, CaptureStatus status, TimeProvider time, ILogger<WalGuard> logger)
{
    private static readonly TimeSpan Repeat = TimeSpan.FromMinutes(1);

    private volatile bool _acts = true;
    private SlotHealth? _last;
    private long _least = long.MaxValue;
    private long _leastAt;
    private string? _said;
    private long _saidAt;
    private bool _beats = true;

    /// <summary>Whether the policy is carried out; not while it already is. Default true.</summary>
    public bool Acts
    {
        get => _acts;
        set => _acts = value;
    }

    /// <summary>Ends by the token, or with the policy: a <see cref="CaptureException"/> that pauses, or a <see cref="WalLimitException"/>; or because the session is in the server's way.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await using var connection = source.CreateConnection("guard");
                await connection.OpenAsync(cancellationToken);
                await WatchAsync(connection, cancellationToken);
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or InvalidOperationException)
            {
                // The capture itself says what is the matter with PostgreSQL.
                await Task.Delay(options.RetryMaximum, time, cancellationToken);
            }
        }
    }

    private async Task WatchAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        for (long? beat = null; ; await Task.Delay(options.GuardInterval, time, cancellationToken))
        {
            if (await SlotHealth.ReadAsync(connection, options.Slot, cancellationToken) is { } slot)
            {
                Look(slot);
            }

            if (options.HeartbeatInterval > TimeSpan.Zero && _beats && (beat is null || time.GetElapsedTime(beat.Value) >= options.HeartbeatInterval))
            {
                beat = time.GetTimestamp();
                await BeatAsync(connection, cancellationToken);
            }
        }
    }

    private void Look(SlotHealth slot)
    {
        var verdict = WalVerdict.Of(slot, options.WalLimit);
        status.Looked(slot, verdict.Warning);
        Looked(options.Slot, slot.WalStatus, slot.HeldBytes, slot.BehindBytes);
        Say(slot, verdict.Warning);
        Leave(slot);
        if (!Acts || !verdict.Act || Shrinks(slot.BehindBytes))
        {
            return;
        }

        switch (options.WalPolicy)
        {
            case WalPolicy.Pause:
                throw new CaptureException($"WalPolicy: slot {options.Slot} is {slot.BehindBytes} bytes behind, more than {WalVerdict.Limit(slot, options.WalLimit)} (WalLimit), and not catching up: paused. What is stored is complete up to {slot.Confirmed}; the server keeps WAL until the capture goes on, the slot is dropped, or max_slot_wal_keep_size is reached")
                {
                    Failure = CaptureFailure.Paused,
                };
            case WalPolicy.Drop or WalPolicy.Spill:
                _least = long.MaxValue;
                throw new WalLimitException(slot.BehindBytes);
        }
    }

    // Whoever was away for long has much to catch up with, and does.
    private bool Shrinks(long behind)
    {
        if (behind < _least)
        {
            (_least, _leastAt) = (behind, time.GetTimestamp());
        }

        return time.GetElapsedTime(_leastAt) < options.WalGrace;
    }

    // To take the slot away the server ends the process that sends; one that cannot write to its socket, since nothing is read here, does not end, and the
    // checkpoint waits for it, for as long as the outputs stand still.
    private void Leave(SlotHealth slot)
    {
        var stuck = slot.WalStatus == "unreserved" && _last is { WalStatus: "unreserved" } last && last.Confirmed == slot.Confirmed;
        _last = stuck ? null : slot;
        if (stuck)
        {
            throw new SlotStuckException(options.Slot);
        }
    }

    private void Say(SlotHealth slot, string? warning)
    {
        if (warning == _said && (warning is null || time.GetElapsedTime(_saidAt) < Repeat))
        {
            return;
        }

        (_said, _saidAt) = (warning, time.GetTimestamp());
        if (warning is null)
        {
            Well(options.Slot);
        }
        else
        {
            InDanger(options.Slot, slot.HeldBytes, slot.BehindBytes, WalVerdict.Limit(slot, options.WalLimit), slot.SafeBytes, slot.WalStatus, warning);
        }
    }

    // In a transaction of its own: its commit is flushed and sent at once.
    private async Task BeatAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var note = JsonSerializer.Serialize(new { slot = options.Slot, at = time.GetUtcNow() });
        try
        {
            await MoveSlot.NoteAsync(connection, SlotNotes.Heartbeat, note, cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege)
        {
            _beats = false;
            NoHeartbeat(exception.MessageText);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "slot {Slot} is in danger: {Warning}; it holds {Held} bytes of WAL and is {Behind} bytes behind, limit {Limit}, {WalStatus}, {Safe} bytes may yet be written")]
    private partial void InDanger(string slot, long held, long behind, long limit, long? safe, string walStatus, string warning);

    [LoggerMessage(Level = LogLevel.Debug, Message = "slot {Slot} is {WalStatus}, holds {Held} bytes, is {Behind} bytes behind")]
    private partial void Looked(string slot, string walStatus, long held, long behind);

    [LoggerMessage(Level = LogLevel.Information, Message = "slot {Slot} is within its limits again")]
    private partial void Well(string slot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "no heartbeats: {Reason}; the delay of an idle table is not known")]
    private partial void NoHeartbeat(string reason);
}

/// <summary>The backlog is over the limit, and the policy is to drop it or to keep it on disk.</summary>
internal sealed class WalLimitException(long behindBytes) : Exception($"{behindBytes} bytes behind")
{
    public long BehindBytes => behindBytes;
}

/// <summary>The session must end, or no checkpoint does.</summary>
internal sealed class SlotStuckException(string slot) : Exception($"slot {slot} is about to lose its WAL and does not move: leaving it for a moment, so that the server's checkpoint can end");
