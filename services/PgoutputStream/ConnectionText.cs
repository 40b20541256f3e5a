using System.Text;
using Npgsql;

namespace RuleEngineNats.PgoutputStream;

/// <summary>
/// What people write for a database: libpq's <c>host=localhost user=postgres dbname=mydb</c> or <c>postgres://user@host/db?sslmode=require</c>,
/// and Npgsql's <c>Host=localhost;Username=postgres;Database=mydb</c>.
/// </summary>
internal static class ConnectionText
{
    private static readonly Dictionary<string, string> Keys = new()
    {
        ["host"] = "Host",
        ["hostaddr"] = "Host",
        ["port"] = "Port",
        ["user"] = "Username",
        ["password"] = "Password",
        ["dbname"] = "Database",
        ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate",
        ["sslcert"] = "SSL Certificate",
        ["sslkey"] = "SSL Key",
        ["sslpassword"] = "SSL Password",
        ["connect_timeout"] = "Timeout",
        ["application_name"] = "Application Name",
        ["options"] = "Options",
        ["passfile"] = "Passfile",
        ["channel_binding"] = "Channel Binding",
    };

    /// <returns>An Npgsql connection string, or a problem.</returns>
    public static (string ConnectionString, string? Problem) Parse(string text)
    {
        if (text.StartsWith("postgres://", StringComparison.Ordinal) || text.StartsWith("postgresql://", StringComparison.Ordinal))
        {
            return Uri.TryCreate(text, UriKind.Absolute, out var uri) ? Build(Pairs(uri)) : ("", "the URL cannot be read: write postgres://user:password@host:port/database");
        }

        return IsLibpq(text, out var pairs) ? Build(pairs) : Npgsql(text);
    }

    private static (string ConnectionString, string? Problem) Build(IEnumerable<(string Key, string Value)> pairs)
    {
        var builder = new NpgsqlConnectionStringBuilder();
        foreach (var (key, value) in pairs)
        {
            if (!Keys.TryGetValue(key, out var name))
            {
                return ("", $"'{key}' is not known; known are {string.Join(", ", Keys.Keys)}");
            }

            try
            {
                builder[name] = key is "sslmode" or "channel_binding" ? value.Replace("-", "", StringComparison.Ordinal) : value;
            }
            catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException or OverflowException)
            {
                return ("", key == "password" ? "the password cannot be used" : $"{key}: '{value}' cannot be used");
            }
        }

        return (builder.ConnectionString, null);
    }

    private static (string ConnectionString, string? Problem) Npgsql(string text)
    {
        const string Unreadable = "it cannot be read: write \"host=… user=… dbname=…\", postgres://user@host/db, or \"Host=…;Username=…;Database=…\"";
        if (!text.Contains(';', StringComparison.Ordinal) && text.Count(character => character == '=') > 1)
        {
            return ("", Unreadable);
        }

        try
        {
            return (new NpgsqlConnectionStringBuilder(text).ConnectionString, null);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException)
        {
            // The message may quote a part of the text, which may hold a password.
            return ("", Unreadable);
        }
    }

    private static IEnumerable<(string Key, string Value)> Pairs(Uri uri)
    {
        if (uri.Host.Length > 0)
        {
            yield return ("host", uri.Host.Trim('[', ']'));
        }

        if (uri.Port > 0)
        {
            yield return ("port", uri.Port.ToString());
        }

        if (uri.UserInfo.Split(':', 2) is [{ Length: > 0 } user, .. var rest])
        {
            yield return ("user", Uri.UnescapeDataString(user));
            if (rest is [var password])
            {
                yield return ("password", Uri.UnescapeDataString(password));
            }
        }

        if (uri.AbsolutePath.TrimStart('/') is { Length: > 0 } database)
        {
            yield return ("dbname", Uri.UnescapeDataString(database));
        }

        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            yield return equals < 0 ? (pair, "") : (Uri.UnescapeDataString(pair[..equals]), Uri.UnescapeDataString(pair[(equals + 1)..]));
        }
    }

    // key = value pairs between white space; a value with spaces is in single quotes, a backslash goes before ' and \.
    private static bool IsLibpq(string text, out List<(string Key, string Value)> pairs)
    {
        pairs = [];
        for (var at = 0; ;)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }

            if (at == text.Length)
            {
                return pairs.Count > 0;
            }

            var equals = text.IndexOf('=', at);
            if (equals < 0)
            {
                return false;
            }

            var key = text[at..equals].TrimEnd();
            at = equals + 1;
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }

            // Npgsql's pairs end with a semicolon, and its keys have capitals and spaces.
            if (key.Any(character => !char.IsAsciiLetterLower(character) && character != '_') || !TryReadValue(text, ref at, out var value))
            {
                return false;
            }

            pairs.Add((key, value));
        }
    }

    private static bool TryReadValue(string text, ref int at, out string value)
    {
        var quoted = at < text.Length && text[at] == '\'';
        at += quoted ? 1 : 0;
        var read = new StringBuilder();
        for (; at < text.Length && (quoted ? text[at] != '\'' : !char.IsWhiteSpace(text[at])); at++)
        {
            at += text[at] == '\\' && at + 1 < text.Length ? 1 : 0;
            read.Append(text[at]);
        }

        value = read.ToString();
        if (quoted)
        {
            return at++ < text.Length;
        }

        return !value.Contains(';', StringComparison.Ordinal);
    }
}
