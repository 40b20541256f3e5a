using System.Globalization;
using System.Net;
using System.Text;

namespace RuleEngineNats.Messaging;

/// <summary>
/// A URL that may be sent to as far as its text tells, or the reason why not: ConfigService asks when a webhook is registered or changed, the delivery worker
/// for each configuration. The address itself is checked again when a connection is opened.
/// </summary>
/// <param name="Uri">The URL; null where there is a problem.</param>
/// <param name="Problem"><c>url_not_allowed: </c> and the reason; null where there is none.</param>
public readonly record struct TargetUrl(Uri? Uri, string? Problem)
{
    /// <summary>Most characters.</summary>
    public const int MaxLength = 2048;

    /// <summary>Checks a URL against the egress policy.</summary>
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

        try
        {
            return FindProblem(uri, options);
        }
        catch (UriFormatException)
        {
            // IdnHost refuses some of what TryCreate takes, such as a name of right-to-left letters with a digit at its end.
            return "host is no internationalized name";
        }
    }

    // ①②⑦.⓪.⓪.① and １２７。０。０。１ become 127.0.0.1 wherever names are normalised (NFKC), which is not everywhere, and here not without ICU: IDNA 2008 has no
    // such characters, so no name is lost with them.
    private static bool HasLookAlike(string host)
    {
        foreach (var rune in host.EnumerateRunes())
        {
            if (!rune.IsAscii && (IsCompatible(rune.Value) || !IsOfNames(rune)))
            {
                return true;
            }
        }

        return false;
    }

    // Half and full width forms, mathematical alphanumerics, letter-like symbols: letters and digits by their category.
    private static bool IsCompatible(int value) => value is (>= 0xff00 and <= 0xffef) or (>= 0x1d400 and <= 0x1d7ff) or (>= 0x2100 and <= 0x214f);

    private static bool IsOfNames(Rune rune)
        => Rune.IsLetter(rune)
            || Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            || rune.Value is 0x00b7 or 0x30fb;

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

        if (HasLookAlike(uri.Host))
        {
            return "host has a character that stands for another";
        }

        if (uri.Port is not (80 or 443) && !options.AllowedPorts.Contains(uri.Port) && !(options.AllowAnyPort && uri.Port > 0))
        {
            return "port";
        }

        if (IPAddress.TryParse(uri.IdnHost, out var address) && options.FindProblem(address) is { } problem)
        {
            return problem;
        }

        return null;
    }
}
