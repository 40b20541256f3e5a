using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

/// <summary>One stream as the server described it last.</summary>
public class NatsJSStream : INatsJSStream
{
    private readonly NatsJSContext _context;
    private readonly string _name;
    private bool _deleted;

    internal NatsJSStream(NatsJSContext context, StreamInfo info)
    {
        ArgumentNullException.ThrowIfNull(info.Config.Name);
        _context = context;
        _name = info.Config.Name;
        Info = info;
    }

    public StreamInfo Info { get; private set; }

    public async ValueTask<bool> DeleteAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _deleted = await _context.DeleteStreamAsync(_name, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<StreamPurgeResponse> PurgeAsync(StreamPurgeRequest request, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.PurgeStreamAsync(_name, request, cancellationToken);
    }

    public ValueTask<StreamMsgDeleteResponse> DeleteMessageAsync(StreamMsgDeleteRequest request, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.DeleteMessageAsync(_name, request, cancellationToken);
    }

    public async ValueTask UpdateAsync(StreamConfig request, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        Info = (await _context.UpdateStreamAsync(request, cancellationToken).ConfigureAwait(false)).Info;
    }

    public ValueTask<INatsJSConsumer> CreateOrderedConsumerAsync(NatsJSOrderedConsumerOpts? opts = default, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.CreateOrderedConsumerAsync(_name, opts, cancellationToken);
    }

    public ValueTask<INatsJSConsumer> CreateOrUpdateConsumerAsync(ConsumerConfig config, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.CreateOrUpdateConsumerAsync(_name, config, cancellationToken);
    }

    public ValueTask<INatsJSConsumer> GetConsumerAsync(string consumer, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.GetConsumerAsync(_name, consumer, cancellationToken);
    }

    public IAsyncEnumerable<INatsJSConsumer> ListConsumersAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.ListConsumersAsync(_name, cancellationToken);
    }

    public IAsyncEnumerable<string> ListConsumerNamesAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.ListConsumerNamesAsync(_name, cancellationToken);
    }

    public ValueTask<bool> DeleteConsumerAsync(string consumer, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _context.DeleteConsumerAsync(_name, consumer, cancellationToken);
    }

    public async ValueTask RefreshAsync(CancellationToken cancellationToken = default) =>
        Info = await _context.JSRequestResponseAsync<object, StreamInfoResponse>($"{_context.Opts.Prefix}.STREAM.INFO.{_name}", null, cancellationToken).ConfigureAwait(false);

    public ValueTask<NatsMsg<T>> GetDirectAsync<T>(StreamMsgGetRequest request, INatsDeserialize<T>? serializer = default, CancellationToken cancellationToken = default) =>
        _context.Connection.RequestAsync(
            $"{_context.Opts.Prefix}.DIRECT.GET.{_name}",
            request,
            requestSerializer: NatsJSJsonSerializer<StreamMsgGetRequest>.Default,
            replySerializer: serializer,
            cancellationToken: cancellationToken);

    public ValueTask<StreamMsgGetResponse> GetAsync(StreamMsgGetRequest request, CancellationToken cancellationToken = default) =>
        _context.JSRequestResponseAsync<StreamMsgGetRequest, StreamMsgGetResponse>($"{_context.Opts.Prefix}.STREAM.MSG.GET.{_name}", request, cancellationToken);

    private void ThrowIfDeleted()
    {
        if (_deleted)
        {
            throw new NatsJSException($"Stream '{_name}' is deleted");
        }
    }
}
