using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace RuleEngineNats.Consumers;

/// <summary>Takes one message; returning says that it may be acknowledged, throwing that it comes again.</summary>
/// <param name="message">The message.</param>
/// <param name="stream">Its stream.</param>
/// <param name="countedFrom">What was stored before this may have been delivered without the server's consumer knowing.</param>
/// <param name="cancellationToken">Give it back.</param>
internal delegate Task HandleMessage(INatsJSMsg<byte[]> message, string stream, DateTimeOffset countedFrom, CancellationToken cancellationToken);

/// <summary>What the pumps of one consumer do.</summary>
/// <param name="Definition">The durable on the server.</param>
/// <param name="HandleAsync">Where messages go.</param>
/// <param name="Concurrency">Messages of one stream in work at once.</param>
/// <param name="ProgressEvery">How often progress is reported for a message in work.</param>
/// <param name="Redelivery">When a message that failed comes again.</param>
internal sealed record PumpWork(ConsumerConfig Definition, HandleMessage HandleAsync, int Concurrency, TimeSpan ProgressEvery, RedeliveryRule Redelivery);
