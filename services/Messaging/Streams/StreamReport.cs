namespace RuleEngineNats.Messaging;

/// <summary>What the provisioner found or did for one stream definition.</summary>
/// <param name="Stream">Name of the stream.</param>
/// <param name="ConfigName">Configuration whose servers were asked.</param>
/// <param name="State">What is so now.</param>
/// <param name="Detail">The differences or the error; empty otherwise.</param>
public sealed record StreamReport(string Stream, string ConfigName, StreamState State, string Detail);

/// <summary>The states of a defined stream on the server; in lower case, the values of <c>rule_nats_streams.server_state</c>.</summary>
public enum StreamState
{
    /// <summary>It was missing and has been created.</summary>
    Created,

    /// <summary>It exists as defined.</summary>
    Exists,

    /// <summary>It exists and differs; nothing was changed.</summary>
    Differs,

    /// <summary>It could not be looked at or created.</summary>
    Failed,
}
