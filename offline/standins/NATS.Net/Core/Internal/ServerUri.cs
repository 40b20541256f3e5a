namespace NATS.Client.Core.Internal;

/// <summary>One address of a server; two are equal when host, port and scheme are.</summary>
internal sealed record ServerUri
{
    public ServerUri(string url, bool isSeed, string defaultScheme = "nats")
    {
        if (!url.Contains("://", StringComparison.Ordinal))
        {
            url = $"{defaultScheme}://{url}";
        }

        var builder = new UriBuilder(new Uri(url, UriKind.Absolute));
        if (string.IsNullOrEmpty(builder.Host))
        {
            builder.Host = "localhost";
        }

        if (builder.Scheme is not ("nats" or "tls"))
        {
            throw new ArgumentException($"unsupported scheme {builder.Scheme} in nats URL {url}", url);
        }

        if (builder.Port == -1)
        {
            builder.Port = 4222;
        }

        IsSeed = isSeed;
        IsTls = builder.Scheme == "tls";
        Uri = builder.Uri;
    }

    public Uri Uri { get; init; }

    public bool IsSeed { get; }

    public bool IsTls { get; }

    public string Host => Uri.Host;

    public int Port => Uri.Port;

    public bool Equals(ServerUri? other) => other is not null && Uri.Equals(other.Uri);

    public override int GetHashCode() => Uri.GetHashCode();

    /// <summary>For logs: secrets are left out.</summary>
    public override string ToString()
    {
        var builder = new UriBuilder(Uri);
        if (builder.Password.Length > 0)
        {
            builder.Password = "***";
        }
        else if (builder.UserName.Length > 0)
        {
            builder.UserName = "***";
        }

        return builder.Uri.ToString().TrimEnd('/');
    }
}
