using System.Diagnostics;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.Transports;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.Consumers;

/// <summary>Takes a message through MassTransit's receive pipeline to the consumer; the trace of the publish goes on in it.</summary>
internal sealed class DispatchEvent<TConsumer> : IConsumeObserver
    where TConsumer : class, IConsumer
{
    private readonly IReceiveEndpointDispatcher<TConsumer> _dispatcher;
    private readonly string _name;

    public DispatchEvent(IReceiveEndpointDispatcher<TConsumer> dispatcher, string name)
    {
        (_dispatcher, _name) = (dispatcher, name);
        dispatcher.ConnectConsumeObserver(this);
    }

    public async Task HandleAsync(INatsJSMsg<byte[]> message, string stream, DateTimeOffset countedFrom, CancellationToken cancellationToken)
    {
        var headers = Headers(message.Headers);
        var received = ReceivedEvent.From(message, stream);
        ActivityContext.TryParse(headers.GetValueOrDefault(EventHeaders.TraceParent) as string, null, isRemote: true, out var parent);
        using var activity = Telemetry.Source.StartActivity($"consume {_name}", ActivityKind.Consumer, parent);
        try
        {
            await _dispatcher.Dispatch(message.Data ?? [], headers, cancellationToken, received);
        }
        catch (Exception e) when (!received.Read && e is JsonException or MessageNotConsumedException)
        {
            // Of the body, not of something that the consumer reads itself.
            throw new SerializationException(e.Message, e);
        }
    }

    public Task PreConsume<T>(ConsumeContext<T> context)
        where T : class
    {
        context.Event().Read = true;
        return Task.CompletedTask;
    }

    public Task PostConsume<T>(ConsumeContext<T> context)
        where T : class => Task.CompletedTask;

    public Task ConsumeFault<T>(ConsumeContext<T> context, Exception exception)
        where T : class => Task.CompletedTask;

    private static Dictionary<string, object> Headers(NatsHeaders? headers)
    {
        var all = new Dictionary<string, object>(headers?.Count ?? 0, StringComparer.OrdinalIgnoreCase);
        foreach (var (header, values) in headers ?? [])
        {
            all[header] = values.ToString();
        }

        return all;
    }
}
