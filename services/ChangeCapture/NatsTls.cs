namespace RuleEngineNats.ChangeCapture;

/// <summary>TLS to NATS servers. When anything is given, a server without TLS is refused.</summary>
public sealed class NatsTls
{
    /// <summary>PEM file of the authorities that a server's certificate may come from. Default: the machine's.</summary>
    public string? CaFile { get; set; }

    /// <summary>PEM file of the certificate to show, with its chain behind it. Default: none.</summary>
    public string? CertFile { get; set; }

    /// <summary>PEM file of the key of <see cref="CertFile"/>. Not encrypted.</summary>
    public string? KeyFile { get; set; }

    /// <summary>Take any certificate of the server: whoever is on the line can read and change everything. Default false.</summary>
    public bool Insecure { get; set; }

    internal bool IsGiven => Insecure || CaFile is not null || CertFile is not null || KeyFile is not null;
}
