using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

// Step 3: what becomes of an event that failed, and of those that were sent behind it.
internal sealed partial class JetStreamOutput
{
    private async Task RecoverAsync(OutgoingEvent first, PublishAttempt attempt, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken);
        if (!attempt.Interleaved)
        {
            _flow.Stopped(first, attempt.Outcome);
        }

        var again = new Queue<OutgoingEvent>([first]);
        while (_sent.Reader.TryRead(out var sent))
        {
            await sent.Attempt.WaitAsync(cancellationToken);
            again.Enqueue(sent.Event);
        }

        var stopped = !attempt.Interleaved;
        if (stopped)
        {
            await PauseAsync(attempt.Outcome, failures: 1, cancellationToken);
        }

        while (again.Count > 0)
        {
            stopped |= await SendAloneAsync(again, attempt, cancellationToken);
            attempt = await SendTogetherAsync(again, cancellationToken);
        }

        if (stopped)
        {
            _flow.GoesOn();
        }

        _lane.Release();
    }

    /// <summary>Nothing else of ours is on its way: whatever the stream's last message is, no other order is possible.</summary>
    /// <param name="attempt">What became of the first of them the last time.</param>
    /// <returns>Whether it was refused before.</returns>
    private async Task<bool> SendAloneAsync(Queue<OutgoingEvent> again, PublishAttempt attempt, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            if (attempt.IsUnknown && await SettleStoredAsync(again, cancellationToken))
            {
                return failures > 1;
            }

            attempt = await (await _publish!.SendAsync(again.Peek(), expectedLast: null)).WaitAsync(cancellationToken);
            if (attempt.IsStored)
            {
                _last = again.Peek().MessageId;
                Settle(again.Dequeue());
                return failures > 1;
            }

            _flow.Stopped(again.Peek(), attempt.Outcome);
            await PauseAsync(attempt.Outcome, failures, cancellationToken);
        }
    }

    /// <summary>No answer says nothing, and by the time of the next the stream may have forgotten the ids: it is asked for what it holds.</summary>
    /// <returns>Whether the first of them is stored.</returns>
    private async Task<bool> SettleStoredAsync(Queue<OutgoingEvent> again, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                var last = await _server.FindLastIdAsync(_source!, cancellationToken);
                if (last is null || !again.Any(outgoing => outgoing.MessageId == last))
                {
                    return false;
                }

                for (_last = null; _last != last; Settle(again.Dequeue()))
                {
                    _last = again.Peek().MessageId;
                }

                return true;
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                var unavailable = new PublishOutcome.Unavailable(UnavailableReason.Disconnected, NatsUrls.Redact(exception.Message));
                _flow.Stopped(again.Peek(), unavailable);
                await PauseAsync(unavailable, failures, cancellationToken);
            }
        }
    }

    /// <summary>Those behind it, as if they were sent for the first time. Ends with the first that fails at the head.</summary>
    /// <returns>What became of the one that is at the head then.</returns>
    private async Task<PublishAttempt> SendTogetherAsync(Queue<OutgoingEvent> again, CancellationToken cancellationToken)
    {
        var sent = new List<Task<PublishAttempt>>(again.Count);
        foreach (var outgoing in again)
        {
            sent.Add(await _publish!.SendAsync(outgoing, _last));
            _last = outgoing.MessageId;
        }

        PublishAttempt? failed = null;
        foreach (var sending in sent)
        {
            var attempt = await sending.WaitAsync(cancellationToken);
            failed ??= attempt.IsStored ? null : attempt;
            if (failed is null)
            {
                Settle(again.Dequeue());
            }
        }

        return failed ?? default;
    }

    private async Task PauseAsync(PublishOutcome outcome, int failures, CancellationToken cancellationToken)
    {
        await Task.Delay(_options.PauseAfter(failures), _time, cancellationToken);
        if (outcome is PublishOutcome.Unavailable { Reason: UnavailableReason.NoStream })
        {
            try
            {
                await _server.EnsureStreamAsync(cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Said with the next refusal.
            }
        }
    }
}
