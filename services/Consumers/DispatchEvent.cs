using System.Diagnostics;
using System.Runtime.InteropServices;
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
    private readonly EventBodies _bodies;
    private readonly string _name;

    public DispatchEvent(IReceiveEndpointDispatcher<TConsumer> dispatcher, EventBodies bodies, string name)
    {
        (_dispatcher, _bodies, _name) = (dispatcher, bodies, name);
        dispatcher.ConnectConsumeObserver(this);
    }

    public async Task HandleAsync(INatsJSMsg<byte[]> message, string stream, DateTimeOffset countedFrom, CancellationToken cancellationToken)
    {
        var headers = Headers(message.Headers);
        using var body = await _bodies.ReadAsync(message, cancellationToken);
        var received = ReceivedEvent.From(message, stream, body.Bytes);
        ActivityContext.TryParse(headers.GetValueOrDefault(EventHeaders.TraceParent) as string, null, isRemote: true, out var parent);
        using var activity = Telemetry.Source.StartActivity($"consume {_name}", ActivityKind.Consumer, parent);
        try
        {
            await _dispatcher.Dispatch(BytesOf(body), headers, cancellationToken, received);
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

    // A body comes as an array of its own.
    private static byte[] BytesOf(HeldBody body)
        => MemoryMarshal.TryGetArray(body.Bytes, out var whole) && whole.Count == whole.Array!.Length ? whole.Array : body.Bytes.ToArray();

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
