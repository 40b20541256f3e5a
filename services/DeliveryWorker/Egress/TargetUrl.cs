using System.Net;

namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>A URL that may be sent to as far as its text tells, or the reason why not. The address itself is checked again when a connection is opened.</summary>
internal readonly record struct TargetUrl(Uri? Uri, string? Problem)
{
    public const int MaxLength = 2048;

    public static TargetUrl Check(string? text, EgressOptions options)
        => FindProblem(text, options, out var uri) is { } problem ? new(null, "url_not_allowed: " + problem) : new(uri, null);

    private static string? FindProblem(string? text, EgressOptions options, out Uri? uri)
    {
        uri = null;
        if (string.IsNullOrEmpty(text))
        {
            return "empty";
        }

        if (text.Length > MaxLength)
        {
            return "longer than 2048 characters";
        }

        // Uri trims and folds these; whoever reads the text of the URL would see another host than the one that is called.
        if (text.AsSpan().IndexOfAnyInRange('\0', ' ') >= 0 || text.AsSpan().IndexOfAny('\\', '\u007f') >= 0)
        {
            return "whitespace, control character or backslash";
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out uri))
        {
            return "not an absolute URL";
        }

        return FindProblem(uri, options);
    }

    private static string? FindProblem(Uri uri, EgressOptions options)
    {
        if (uri.Scheme != Uri.UriSchemeHttps && !(uri.Scheme == Uri.UriSchemeHttp && options.AllowHttp))
        {
            return uri.Scheme == Uri.UriSchemeHttp ? "https only" : "scheme";
        }

        if (uri.UserInfo.Length > 0)
        {
            return "user information";
        }

        if (uri.Fragment.Length > 0)
        {
            return "fragment";
        }

        if (uri.IdnHost.Length == 0)
        {
            return "no host";
        }

        if (uri.Port is not (80 or 443) && !options.AllowedPorts.Contains(uri.Port) && !(options.AllowAnyPort && uri.Port > 0))
        {
            return "port";
        }

        if (IPAddress.TryParse(uri.IdnHost, out var address) && AddressTable.Classify(address) is var kind && !options.Allows(kind))
        {
            return "address is " + kind.ToString().ToLowerInvariant();
        }

        return null;
    }
}
