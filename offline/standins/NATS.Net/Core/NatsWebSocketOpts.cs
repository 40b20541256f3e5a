using System.Net.WebSockets;
using Microsoft.Extensions.Primitives;

namespace NATS.Client.Core;

public sealed record NatsWebSocketOpts
{
    public static readonly NatsWebSocketOpts Default = new();

    public IDictionary<string, StringValues>? RequestHeaders { get; init; }

    public Func<Uri, ClientWebSocketOptions, CancellationToken, ValueTask>? ConfigureClientWebSocketOptions { get; init; }
}
