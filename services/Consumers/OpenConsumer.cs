using Microsoft.Extensions.Logging;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Consumers;

/// <summary>
/// Gets a shared consumer, makes it where it is missing, and makes it anew where it is ahead of its stream. A stream that lost its tail uses
/// sequences again; nats-server keeps the consumer's place (seen with 2.10) and would skip whatever is stored up to it. The reconciler says from which
/// sequence on that is so (<c>rule_nats_consumer_restarts</c>, for the delivery worker's consumer alone); a consumer beyond the last sequence says it by itself.
/// </summary>
/// <remarks>
/// What comes a second time is told by its recorded outcomes, if the process knows that it may: each has to notice the new consumer. So there
/// is none for <see cref="Gap"/>, and a process that has not asked for that long looks at the consumer before it asks again.
/// </remarks>
internal sealed partial class OpenConsumer(NpgsqlDataSource database, TimeProvider time, ILogger<OpenConsumer> logger)
{
    /// <summary>How long there is no consumer before the new one.</summary>
    public static readonly TimeSpan Gap = TimeSpan.FromSeconds(2);

    /// <summary>The streams whose delivery worker's consumer has to be made anew.</summary>
    public async Task<HashSet<(string Config, string Stream)>> RestartsAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT config_name, stream_name FROM rule_nats_consumer_restarts WHERE done_at IS NULL");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var restarts = new HashSet<(string, string)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            restarts.Add((reader.GetString(0), reader.GetString(1)));
        }

        return restarts;
    }

    /// <summary>Whether <see cref="RunAsync"/> would make the consumer anew. A restart that was asked for and is not needed is done with that.</summary>
    public async Task<bool> IsDueAsync(INatsJSContext context, string config, string stream, string name, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        var asked = await AskedAsync(connection, config, stream, name, cancellationToken);
        if (await SharedConsumer.GetAsync(context, stream, name, cancellationToken) is not { } consumer)
        {
            return false;
        }

        if (UsedAgain(await context.GetStreamAsync(stream, cancellationToken: cancellationToken), consumer, asked) is not null)
        {
            return true;
        }

        await DoneAsync(connection, config, stream, name, cancellationToken);
        return false;
    }

    public async Task<INatsJSConsumer> RunAsync(INatsJSContext context, string config, string stream, ConsumerConfig definition, CancellationToken cancellationToken)
    {
        var name = definition.Name!;
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // One process at a time: none may find the consumer missing between another's two steps, and make it from the beginning.
        await ScalarAsync(connection, "SELECT pg_advisory_xact_lock(hashtextextended('consumer ' || $1 || '/' || $2, 0))", $"{config}/{stream}", name, cancellationToken);
        var asked = await AskedAsync(connection, config, stream, name, cancellationToken);
        var consumer = await SharedConsumer.GetAsync(context, stream, name, cancellationToken);
        var place = await context.GetStreamAsync(stream, cancellationToken: cancellationToken);
        if (consumer is not null && UsedAgain(place, consumer, asked) is { } used)
        {
            BeginningAgain(name, stream, consumer.Info.Delivered.StreamSeq, used);
            await DeleteAsync(context, stream, name, cancellationToken);

            // What was delivered and not acknowledged has to come again too. A work queue has to be consumed from its first message, and holds only that.
            definition = place.Info.Config.Retention is StreamConfigRetention.Workqueue ? definition : definition with
            {
                DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence,
                OptStartSeq = Math.Min(used, consumer.Info.AckFloor.StreamSeq + 1),
            };
            consumer = null;
        }

        consumer ??= await MakeAsync(context, stream, definition, cancellationToken);
        await DoneAsync(connection, config, stream, name, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return consumer;
    }

    // One that is missing begins at the oldest message: where it had been nobody knows. Where power was lost, nats-server may still have the file of its
    // place and not the stream, and gives the new consumer that place in the new stream (seen with 2.10).
    private async Task<INatsJSConsumer> MakeAsync(INatsJSContext context, string stream, ConsumerConfig definition, CancellationToken cancellationToken)
    {
        var consumer = await context.CreateOrUpdateConsumerAsync(stream, definition, cancellationToken);
        if (consumer.Info.Delivered.ConsumerSeq > 0)
        {
            HadAPlace(definition.Name!, stream, consumer.Info.Delivered.StreamSeq);
            await DeleteAsync(context, stream, definition.Name!, cancellationToken);
            consumer = await context.CreateOrUpdateConsumerAsync(stream, definition, cancellationToken);
        }

        return consumer;
    }

    private async Task DeleteAsync(INatsJSContext context, string stream, string name, CancellationToken cancellationToken)
    {
        await context.DeleteConsumerAsync(stream, name, cancellationToken);
        await Task.Delay(Gap, time, cancellationToken);
    }

    // In an interest stream messages are dropped while nobody is interested: there the consumer stays, whatever it skips.
    private static ulong? UsedAgain(INatsJSStream stream, INatsJSConsumer consumer, ulong? asked)
    {
        var delivered = consumer.Info.Delivered.StreamSeq;
        var last = stream.Info.State.LastSeq;
        return stream.Info.Config.Retention is StreamConfigRetention.Interest ? null : asked <= delivered ? asked : delivered > last ? last + 1 : null;
    }

    private static async Task<ulong?> AskedAsync(NpgsqlConnection connection, string config, string stream, string name, CancellationToken cancellationToken)
        => name != ConsumerNames.DeliveryWorker ? null : (ulong?)(long?)await ScalarAsync(
            connection, "SELECT start_sequence FROM rule_nats_consumer_restarts WHERE config_name = $1 AND stream_name = $2 AND done_at IS NULL", config, stream, cancellationToken);

    private static async Task DoneAsync(NpgsqlConnection connection, string config, string stream, string name, CancellationToken cancellationToken)
    {
        if (name == ConsumerNames.DeliveryWorker)
        {
            await ScalarAsync(
                connection, "UPDATE rule_nats_consumer_restarts SET done_at = clock_timestamp() WHERE config_name = $1 AND stream_name = $2 AND done_at IS NULL", config, stream, cancellationToken);
        }
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql, string first, string second, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = first }, new() { Value = second } } };
        return await command.ExecuteScalarAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "consumer {Consumer} of stream {Stream} was at {Delivered}, but sequences from {Start} on are used again: making it anew")]
    private partial void BeginningAgain(string consumer, string stream, ulong delivered, ulong start);

    [LoggerMessage(Level = LogLevel.Warning, Message = "consumer {Consumer} was missing in stream {Stream} and came up at {Delivered}, the place of one before the stream was lost: making it anew")]
    private partial void HadAPlace(string consumer, string stream, ulong delivered);
}
