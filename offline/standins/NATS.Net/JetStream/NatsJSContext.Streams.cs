using System.Runtime.CompilerServices;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public partial class NatsJSContext
{
    public async ValueTask<INatsJSStream> CreateStreamAsync(StreamConfig config, CancellationToken cancellationToken = default)
    {
        config = Checked(config);
        return new NatsJSStream(this, await JSRequestResponseAsync<StreamConfig, StreamInfo>($"{Opts.Prefix}.STREAM.CREATE.{config.Name}", config, cancellationToken).ConfigureAwait(false));
    }

    public async ValueTask<INatsJSStream> CreateOrUpdateStreamAsync(StreamConfig config, CancellationToken cancellationToken = default)
    {
        config = Checked(config);
        var updated = await ApiAsync<StreamConfig, StreamUpdateResponse>($"{Opts.Prefix}.STREAM.UPDATE.{config.Name}", config, cancellationToken).ConfigureAwait(false);
        return updated.Error switch
        {
            null => new NatsJSStream(this, updated.Value!),
            { Code: 404 } => await CreateStreamAsync(config, cancellationToken).ConfigureAwait(false),
            var error => throw new NatsJSApiException(error),
        };
    }

    public async ValueTask<NatsJSStream> UpdateStreamAsync(StreamConfig request, CancellationToken cancellationToken = default)
    {
        request = Checked(request);
        return new NatsJSStream(this, await JSRequestResponseAsync<StreamConfig, StreamUpdateResponse>($"{Opts.Prefix}.STREAM.UPDATE.{request.Name}", request, cancellationToken).ConfigureAwait(false));
    }

    public async ValueTask<INatsJSStream> GetStreamAsync(string stream, StreamInfoRequest? request = null, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return new NatsJSStream(this, await JSRequestResponseAsync<StreamInfoRequest, StreamInfoResponse>($"{Opts.Prefix}.STREAM.INFO.{stream}", request, cancellationToken).ConfigureAwait(false));
    }

    public async ValueTask<bool> DeleteStreamAsync(string stream, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return (await JSRequestResponseAsync<object, StreamMsgDeleteResponse>($"{Opts.Prefix}.STREAM.DELETE.{stream}", null, cancellationToken).ConfigureAwait(false)).Success;
    }

    public ValueTask<StreamPurgeResponse> PurgeStreamAsync(string stream, StreamPurgeRequest request, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return JSRequestResponseAsync<StreamPurgeRequest, StreamPurgeResponse>($"{Opts.Prefix}.STREAM.PURGE.{stream}", request, cancellationToken);
    }

    public ValueTask<StreamMsgDeleteResponse> DeleteMessageAsync(string stream, StreamMsgDeleteRequest request, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return JSRequestResponseAsync<StreamMsgDeleteRequest, StreamMsgDeleteResponse>($"{Opts.Prefix}.STREAM.MSG.DELETE.{stream}", request, cancellationToken);
    }

    public async IAsyncEnumerable<INatsJSStream> ListStreamsAsync(string? subject = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var offset = 0; !cancellationToken.IsCancellationRequested;)
        {
            var page = await JSRequestResponseAsync<StreamListRequest, StreamListResponse>($"{Opts.Prefix}.STREAM.LIST", new StreamListRequest { Offset = offset, Subject = subject }, cancellationToken).ConfigureAwait(false);
            if (page.Streams is not { Count: > 0 } streams)
            {
                yield break;
            }

            foreach (var info in streams)
            {
                yield return new NatsJSStream(this, info);
            }

            offset += streams.Count;
        }
    }

    public async IAsyncEnumerable<string> ListStreamNamesAsync(string? subject = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        for (var offset = 0; !cancellationToken.IsCancellationRequested;)
        {
            var page = await JSRequestResponseAsync<StreamNamesRequest, StreamNamesResponse>($"{Opts.Prefix}.STREAM.NAMES", new StreamNamesRequest { Offset = offset, Subject = subject }, cancellationToken).ConfigureAwait(false);
            if (page.Streams is not { Count: > 0 } names)
            {
                yield break;
            }

            foreach (var name in names)
            {
                yield return name;
            }

            offset += names.Count;
        }
    }

    // The caller's object stays as it is: domains become API prefixes in a copy.
    private static StreamConfig Checked(StreamConfig config)
    {
        CheckStreamName(config.Name, nameof(config.Name));
        return config with
        {
            Mirror = config.Mirror is null ? null : WithoutDomain(config.Mirror),
            Sources = config.Sources is { Count: > 0 } sources ? [.. sources.Select(WithoutDomain)] : config.Sources,
        };
    }

    private static StreamSource WithoutDomain(StreamSource source)
    {
        if (string.IsNullOrEmpty(source.Domain))
        {
            return source;
        }

        return source.External?.Deliver is { Length: > 0 }
            ? throw new ArgumentException("Both domain and external are set")
            : source with { External = new ExternalStreamSource { Api = $"$JS.{source.Domain}.API" } };
    }
}
