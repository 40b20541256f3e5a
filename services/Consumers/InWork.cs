using NATS.Client.JetStream;

namespace RuleEngineNats.Consumers;

/// <summary>A message from its arrival until it is acknowledged or given back.</summary>
/// <param name="message">The message.</param>
/// <param name="acks">Confirms its acknowledgement.</param>
/// <param name="reported">When it came.</param>
internal sealed class InWork(INatsJSMsg<byte[]> message, ConfirmAcks acks, long reported)
{
    public INatsJSMsg<byte[]> Message => message;

    public ConfirmAcks Acks => acks;

    /// <summary>When the server last heard that it is in work.</summary>
    public long Reported { get; set; } = reported;

    public TaskCompletionSource Finished { get; } = new();
}
