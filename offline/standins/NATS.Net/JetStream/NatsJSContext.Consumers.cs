using System.Runtime.CompilerServices;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public partial class NatsJSContext
{
    public ValueTask<INatsJSConsumer> CreateOrderedConsumerAsync(string stream, NatsJSOrderedConsumerOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return new(new NatsJSOrderedConsumer(stream, this, opts ?? NatsJSOrderedConsumerOpts.Default, cancellationToken));
    }

    public ValueTask<INatsJSConsumer> CreateOrUpdateConsumerAsync(string stream, ConsumerConfig config, CancellationToken cancellationToken = default) =>
        PutConsumerAsync(stream, config, ConsumerCreateAction.CreateOrUpdate, cancellationToken);

    public ValueTask<INatsJSConsumer> CreateConsumerAsync(string stream, ConsumerConfig config, CancellationToken cancellationToken = default) =>
        PutConsumerAsync(stream, config, ConsumerCreateAction.Create, cancellationToken);

    public ValueTask<INatsJSConsumer> UpdateConsumerAsync(string stream, ConsumerConfig config, CancellationToken cancellationToken = default) =>
        PutConsumerAsync(stream, config, ConsumerCreateAction.Update, cancellationToken);

    public async ValueTask<INatsJSConsumer> GetConsumerAsync(string stream, string consumer, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return new NatsJSConsumer(this, await JSRequestResponseAsync<object, ConsumerInfo>($"{Opts.Prefix}.CONSUMER.INFO.{stream}.{consumer}", null, cancellationToken).ConfigureAwait(false));
    }

    public async IAsyncEnumerable<INatsJSConsumer> ListConsumersAsync(string stream, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        for (var offset = 0; !cancellationToken.IsCancellationRequested;)
        {
            var page = await JSRequestResponseAsync<ConsumerListRequest, ConsumerListResponse>($"{Opts.Prefix}.CONSUMER.LIST.{stream}", new ConsumerListRequest { Offset = offset }, cancellationToken).ConfigureAwait(false);
            if (page.Consumers is not { Count: > 0 } consumers)
            {
                yield break;
            }

            foreach (var info in consumers)
            {
                yield return new NatsJSConsumer(this, info);
            }

            offset += consumers.Count;
        }
    }

    public async IAsyncEnumerable<string> ListConsumerNamesAsync(string stream, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        for (var offset = 0; !cancellationToken.IsCancellationRequested;)
        {
            var page = await JSRequestResponseAsync<ConsumerNamesRequest, ConsumerNamesResponse>($"{Opts.Prefix}.CONSUMER.NAMES.{stream}", new ConsumerNamesRequest { Offset = offset }, cancellationToken).ConfigureAwait(false);
            if (page.Consumers is not { Count: > 0 } names)
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

    public async ValueTask<bool> DeleteConsumerAsync(string stream, string consumer, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return (await JSRequestResponseAsync<object, ConsumerDeleteResponse>($"{Opts.Prefix}.CONSUMER.DELETE.{stream}.{consumer}", null, cancellationToken).ConfigureAwait(false)).Success;
    }

    public ValueTask<ConsumerPauseResponse> PauseConsumerAsync(string stream, string consumer, DateTimeOffset pauseUntil, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return JSRequestResponseAsync<ConsumerPauseRequest, ConsumerPauseResponse>($"{Opts.Prefix}.CONSUMER.PAUSE.{stream}.{consumer}", new ConsumerPauseRequest { PauseUntil = pauseUntil }, cancellationToken);
    }

    public async ValueTask<bool> ResumeConsumerAsync(string stream, string consumer, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return !(await JSRequestResponseAsync<object, ConsumerPauseResponse>($"{Opts.Prefix}.CONSUMER.PAUSE.{stream}.{consumer}", null, cancellationToken).ConfigureAwait(false)).IsPaused;
    }

    public async ValueTask UnpinConsumerAsync(string stream, string consumer, string group, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        await JSRequestResponseAsync<ConsumerUnpinRequest, ConsumerUnpinResponse>($"{Opts.Prefix}.CONSUMER.UNPIN.{stream}.{consumer}", new ConsumerUnpinRequest { Group = group }, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<ConsumerResetResponse> ResetConsumerAsync(string stream, string consumer, ulong seq = 0, CancellationToken cancellationToken = default)
    {
        CheckStreamName(stream);
        return JSRequestResponseAsync<ConsumerResetRequest, ConsumerResetResponse>($"{Opts.Prefix}.CONSUMER.RESET.{stream}.{consumer}", seq == 0 ? null : new ConsumerResetRequest { Seq = seq }, cancellationToken);
    }

    /// <summary>The short-lived consumer below an ordered one.</summary>
    internal async ValueTask<NatsJSConsumer> CreateOrderedAsync(string stream, NatsJSOrderedConsumerOpts opts, CancellationToken cancellationToken)
    {
        var config = new ConsumerConfig
        {
            DeliverPolicy = opts.DeliverPolicy,
            AckPolicy = ConsumerConfigAckPolicy.None,
            ReplayPolicy = opts.ReplayPolicy,
            InactiveThreshold = opts.InactiveThreshold,
            NumReplicas = 1,
            MemStorage = true,
            OptStartSeq = opts.OptStartSeq,
            OptStartTime = opts.OptStartTime,
            HeadersOnly = opts.HeadersOnly,
            FilterSubjects = opts.FilterSubjects.Length > 0 ? opts.FilterSubjects : null,
        };
        var request = new ConsumerCreateRequest { StreamName = stream, Config = config, Action = ConsumerCreateAction.Create };
        return new NatsJSConsumer(this, await JSRequestResponseAsync<ConsumerCreateRequest, ConsumerInfo>($"{Opts.Prefix}.CONSUMER.CREATE.{stream}.{Nuid.NewNuid()}", request, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<INatsJSConsumer> PutConsumerAsync(string stream, ConsumerConfig config, ConsumerCreateAction action, CancellationToken cancellationToken)
    {
        CheckStreamName(stream);
        var subject = $"{Opts.Prefix}.CONSUMER.CREATE.{stream}";
        var name = string.IsNullOrWhiteSpace(config.Name) ? config.DurableName : config.Name;
        if (!string.IsNullOrWhiteSpace(name))
        {
            // As a token of the subject these would ask for something else than was meant.
            if (name.AsSpan().IndexOfAny(".*>") >= 0)
            {
                throw new ArgumentException("Consumer name cannot contain '.', '*', '>'", nameof(config));
            }

            subject += "." + name;
        }

        if (!string.IsNullOrWhiteSpace(config.FilterSubject))
        {
            subject += "." + config.FilterSubject;
        }

        if (config.PriorityGroups is { Count: not 1 })
        {
            throw new NatsJSException("Cannot create consumers with multiple priority groups.");
        }

        var request = new ConsumerCreateRequest { StreamName = stream, Config = config, Action = action };
        return new NatsJSConsumer(this, await JSRequestResponseAsync<ConsumerCreateRequest, ConsumerInfo>(subject, request, cancellationToken).ConfigureAwait(false));
    }
}
