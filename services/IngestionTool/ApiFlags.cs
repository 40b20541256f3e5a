using System.CommandLine;

namespace RuleEngineNats.IngestionTool;

/// <summary>The options of every command that asks the API.</summary>
internal sealed class ApiFlags
{
    private const string UrlVariable = "RULE_INGEST_URL";
    private const string KeyVariable = "RULE_INGEST_API_KEY";
    private const string Local = "http://localhost:8080";

    private readonly Option<string?> _url = new("--url") { Description = $"The API's address. Default: {UrlVariable} of the environment, else {Local}." };
    private readonly Option<string?> _key = new("--api-key") { Description = $"Who asks, where the API tells clients apart. Default: {KeyVariable} of the environment, which no list of processes shows." };

    public void AddTo(Command command)
    {
        command.Options.Add(_url);
        command.Options.Add(_key);
    }

    public ApiAccess? Read(ParseResult result, List<string> problems)
    {
        var (from, text) = result.GetValue(_url) is { } given ? ("--url", given)
            : Environment.GetEnvironmentVariable(UrlVariable) is { Length: > 0 } variable ? (UrlVariable, variable)
            : ("--url", Local);
        var key = result.GetValue(_key) ?? (Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } value ? value : null);
        if (key is not null && (key.Length == 0 || key.AsSpan().ContainsAnyExceptInRange('!', '~')))
        {
            problems.Add("--api-key: it has visible ASCII characters and no others");
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url is { Query: "", Fragment: "", UserInfo: "" })
        {
            return new(url, key);
        }

        problems.Add($"{from}: '{text}' is no address of an API; write http://host:port or https://host:port, with a path where a proxy asks for one");
        return null;
    }
}
