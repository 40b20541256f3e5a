using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

// Step 3: what becomes of an event that failed, and of those that were sent behind it.
internal sealed partial class JetStreamOutput
{
    private async Task RecoverAsync(OutgoingEvent first, PublishAttempt attempt, CancellationToken cancellationToken)
    {
        await _lane.WaitAsync(cancellationToken);
        var stopped = !attempt.Interleaved && !MayReplace(first, attempt);
        if (stopped)
        {
            _flow.Stopped(first, attempt.Outcome);
        }

        var again = new Queue<OutgoingEvent>([first]);
        while (_sent.Reader.TryRead(out var sent))
        {
            await sent.Attempt.WaitAsync(cancellationToken);
            again.Enqueue(sent.Event);
        }

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
    /// <returns>Whether the flow stood still before.</returns>
    private async Task<bool> SendAloneAsync(Queue<OutgoingEvent> again, PublishAttempt attempt, CancellationToken cancellationToken)
    {
        var outgoing = again.Peek();
        for (var failures = 0; ;)
        {
            if (attempt.IsUnknown && await SettleStoredAsync(again, cancellationToken))
            {
                return failures > 0;
            }

            attempt = await (await _publish!.SendAsync(outgoing, expectedLast: null)).WaitAsync(cancellationToken);
            if (attempt.IsStored)
            {
                Settle(again.Dequeue());
                _last = outgoing.MessageId;
                return failures > 0;
            }

            if (MayReplace(outgoing, attempt))
            {
                outgoing = await _deadLetters!.ReplaceAsync(outgoing, await _server.AskLimitAsync(cancellationToken), cancellationToken);
                continue;
            }

            _flow.Stopped(outgoing, attempt.Outcome);
            await PauseAsync(attempt.Outcome, ++failures, cancellationToken);
        }
    }

    private bool MayReplace(in OutgoingEvent outgoing, PublishAttempt attempt)
        => _deadLetters is not null && outgoing.Replacement is not null && attempt.Outcome is PublishOutcome.Refused { Reason: RefusalReason.TooLarge };

    /// <summary>No answer says nothing, and by the time of the next the stream may have forgotten the ids: it is asked for what it holds.</summary>
    /// <returns>Whether the first of them is stored.</returns>
    private async Task<bool> SettleStoredAsync(Queue<OutgoingEvent> again, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                var last = (await _server.FindLastAsync(_source!, cancellationToken))?.Id;
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
