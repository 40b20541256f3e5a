using MassTransit.Transports;
using NATS.Client.JetStream;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Streams;

/// <summary>
/// Takes messages to the consumer in the groups they come in: MassTransit's pipeline runs once for a group; for each event alone it took a sixth of the
/// worker's processor time. Each message is finished on its own.
/// </summary>
internal sealed class GroupEvents
{
    private readonly Gather<ArrivedEvent> _arrived;

    public GroupEvents(IReceiveEndpointDispatcher<DeliverEvent> dispatcher)
        => _arrived = new(group =>
        {
            _ = DispatchAsync(dispatcher, new(group));
            return Task.CompletedTask;
        });

    /// <summary>Completes when the event is delivered, or waits as a call, for every endpoint.</summary>
    public Task HandleAsync(INatsJSMsg<byte[]> message, string stream, DateTimeOffset countedFrom, CancellationToken cancellationToken)
    {
        var arrived = new ArrivedEvent(StreamEvent.From(message, stream, countedFrom));
        _arrived.Add(arrived);
        return arrived.Handled;
    }

    private static async Task DispatchAsync(IReceiveEndpointDispatcher<DeliverEvent> dispatcher, ArrivedEvents group)
    {
        try
        {
            await dispatcher.Dispatch(Hosting.NoBody, Hosting.NoHeaders, CancellationToken.None, group);
        }
        catch (Exception e)
        {
            // Of the pipeline itself: what became of an event is said by the event.
            foreach (var arrived in group.Events)
            {
                arrived.Fail(e);
            }
        }
    }
}

/// <summary>What rides beside the message that MassTransit routes.</summary>
internal sealed record ArrivedEvents(IReadOnlyList<ArrivedEvent> Events);

/// <summary>An event that is being delivered.</summary>
internal sealed class ArrivedEvent(StreamEvent @event)
{
    private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public StreamEvent Event => @event;

    public Task Handled => _handled.Task;

    public async Task HandleAsync(Func<StreamEvent, Task> handle)
    {
        try
        {
            await handle(@event);
            _handled.TrySetResult();
        }
        catch (Exception e)
        {
            _handled.TrySetException(e);
        }
    }

    public void Fail(Exception reason) => _handled.TrySetException(reason);
}
