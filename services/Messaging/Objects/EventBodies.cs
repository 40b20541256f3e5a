using System.Globalization;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The body of a message, wherever it is: in the message, or, with the header <see cref="EventHeaders.BodyObject"/>, in the Object Store, or, where that has it no
/// more, in the history.
/// </summary>
public sealed partial class EventBodies(PayloadObjects objects, NatsConnections connections, NpgsqlDataSource database, ILogger<EventBodies> logger)
{
    /// <summary>The object that a message refers to; null when its body is its own.</summary>
    public static PayloadObject? ObjectOf(NatsHeaders? headers)
        => headers is null || !headers.ContainsKey(EventHeaders.BodyObject) ? null
            : PayloadObject.Parse(Value(headers, EventHeaders.BodyObject), Value(headers, EventHeaders.BodyObjectSize));

    /// <summary>The body of a message; of one that refers to an object, what that holds. While the result is not disposed of it counts as held.</summary>
    /// <exception cref="PayloadMissingException">It is nowhere any more.</exception>
    /// <exception cref="NatsException">The server could not be asked, and the history has it not: try again.</exception>
    /// <exception cref="TimeoutException">As before.</exception>
    public ValueTask<HeldBody> ReadAsync(INatsJSMsg<byte[]> message, CancellationToken cancellationToken)
        => ObjectOf(message.Headers) is { } reference
            ? ReadAsync(reference, BodyOrigin.Of(message.Headers), message.Connection is { } connection ? [connection] : [], cancellationToken)
            : new(new HeldBody(message.Data ?? [], default));

    /// <summary>The body that an event without a message refers to, from whichever server has it.</summary>
    /// <inheritdoc cref="ReadAsync(INatsJSMsg{byte[]}, CancellationToken)"/>
    public ValueTask<HeldBody> ReadAsync(PayloadObject reference, BodyOrigin origin, CancellationToken cancellationToken)
        => ReadAsync(reference, origin, connections.Enabled.Select(pool => pool.Value).Where(pool => pool.IsHealthy).Select(pool => pool.Next()), cancellationToken);

    private async ValueTask<HeldBody> ReadAsync(PayloadObject reference, BodyOrigin origin, IEnumerable<INatsConnection> servers, CancellationToken cancellationToken)
    {
        var place = await objects.EnterAsync(cancellationToken);
        try
        {
            Exception problem = new PayloadMissingException("no server to ask");
            foreach (var server in servers)
            {
                try
                {
                    return new(await objects.GetAsync(server, reference, cancellationToken), place);
                }
                catch (Exception exception) when (exception is PayloadMissingException or NatsException or TimeoutException)
                {
                    problem = exception;
                }
            }

            LogNotInStore(origin.MessageId, reference.Sha256, problem.Message);
            return await FindInHistoryAsync(reference, origin, cancellationToken) is { } body ? new(body, place)
                : problem is PayloadMissingException ? throw new PayloadMissingException(
                    $"payload_missing: {problem.Message}, and the history does not have the body ({reference.Reference})")
                : throw problem;
        }
        catch
        {
            place.Dispose();
            throw;
        }
    }

    private async Task<byte[]?> FindInHistoryAsync(PayloadObject reference, BodyOrigin origin, CancellationToken cancellationToken)
    {
        if (origin.MessageId is null)
        {
            return null;
        }

        await using var command = database.CreateCommand("SELECT rule_nats_event_body($1, $2, $3)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = origin.MessageId });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Convert.FromHexString(reference.Sha256) });
        command.Parameters.Add(new() { Value = (object?)origin.PublishedAt?.UtcDateTime ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        try
        {
            return await command.ExecuteScalarAsync(cancellationToken) as byte[];
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.UndefinedFunction)
        {
            // A host of somebody's own, whose role was not given the function.
            LogHistoryClosed(exception.MessageText);
            return null;
        }
    }

    private static string? Value(NatsHeaders headers, string name) => headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "the body {Sha256} of event {MessageId} is not in the Object Store and is looked for in the history: {Reason}")]
    private partial void LogNotInStore(string? messageId, string sha256, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the history cannot be asked for the body of an event: {Reason}")]
    private partial void LogHistoryClosed(string reason);
}

/// <summary>A body and, where it is a large one, the right to hold it.</summary>
/// <param name="Bytes">The body.</param>
/// <param name="Place">What ends with the holding.</param>
public readonly record struct HeldBody(ReadOnlyMemory<byte> Bytes, PayloadObjects.Place Place) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Place.Dispose();
}

/// <summary>By what the history knows the event of a body.</summary>
/// <param name="MessageId">Its <c>Nats-Msg-Id</c>.</param>
/// <param name="PublishedAt">Its <c>ce-time</c>.</param>
public sealed record BodyOrigin(string? MessageId, DateTimeOffset? PublishedAt)
{
    /// <summary>Reads both from the headers of a message.</summary>
    public static BodyOrigin Of(NatsHeaders? headers)
        => new(Value(headers, EventHeaders.MessageId), TimeOf(Value(headers, EventHeaders.CloudEventTime)));

    /// <summary>Reads a <c>ce-time</c>.</summary>
    public static DateTimeOffset? TimeOf(string? text)
        => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    private static string? Value(NatsHeaders? headers, string name)
        => headers is not null && headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;
}
