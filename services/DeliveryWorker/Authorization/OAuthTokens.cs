using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Authorization;

/// <summary>A token, or why there is none.</summary>
internal readonly record struct TokenAnswer(string? Token, DeliveryOutcome? Failure)
{
    public override string ToString() => nameof(TokenAnswer);
}

/// <summary>
/// Access tokens of client credentials: kept until shortly before they end, fetched by the guarded client like everything else. However many need one at once,
/// they share a fetch; one that failed answers for a second, so that a token endpoint in trouble is not asked with every event.
/// </summary>
internal sealed class OAuthTokens(DeliveryClient client, TimeProvider time)
{
    private const int MaxAnswerBytes = 64 * 1024;

    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FailureHolds = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan UnknownLifetime = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestLifetime = TimeSpan.FromHours(24);
    private static readonly TimeSpan MostEarly = TimeSpan.FromSeconds(30);

    // RFC 6749, section 5.2. Other words of a token endpoint are not repeated: they could be anything.
    private static readonly string[] KnownErrors =
        ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];

    private readonly Dictionary<ClientCredentials, Fetch> _fetches = [];

    /// <param name="credentials">What to ask with.</param>
    /// <param name="rejected">A token that a receiver answered with 401; another one is wanted.</param>
    /// <param name="cancellationToken">Ends the wait, not the fetch: others wait for it too.</param>
    public async Task<TokenAnswer> GetAsync(ClientCredentials credentials, string? rejected, CancellationToken cancellationToken)
    {
        Fetch? fetch;
        lock (_fetches)
        {
            if (!_fetches.TryGetValue(credentials, out fetch) || !IsUsable(fetch, rejected))
            {
                foreach (var ended in _fetches.Where(other => !IsUsable(other.Value, null)).Select(other => other.Key).ToArray())
                {
                    _fetches.Remove(ended);
                }

                _fetches[credentials] = fetch = new(this, credentials);
            }
        }

        return await fetch.Answer.WaitAsync(cancellationToken);
    }

    private bool IsUsable(Fetch fetch, string? rejected)
        => fetch.Known is { } known ? time.GetUtcNow() < known.Until && (rejected is null || known.Answer.Token != rejected) : !fetch.HasThrown;

    private async Task<Fetched> FetchAsync(ClientCredentials credentials)
    {
        using var limit = new CancellationTokenSource(FetchTimeout, time);
        var asked = time.GetUtcNow();
        try
        {
            using var request = CreateRequest(credentials);
            using var response = await client.SendAsync(request, limit.Token);
            var body = await ReadAsync(response, limit.Token);
            return response.IsSuccessStatusCode ? Read(body, asked) : Failed($"answered {(int)response.StatusCode}{ErrorOf(body)}");
        }
        catch (HttpRequestException e)
        {
            var outcome = PostWebhook.Classify(e);
            return outcome is DeliveryOutcome.AddressBlocked blocked
                ? new(new(null, new DeliveryOutcome.AddressBlocked(DeliveryStage.Prepare, "token_url: " + blocked.Reason)), time.GetUtcNow() + FailureHolds)
                : Failed($"gave no answer: {outcome.Error}");
        }
        catch (IOException)
        {
            return Failed("broke off its answer");
        }
        catch (OperationCanceledException)
        {
            return Failed($"gave no answer in {FetchTimeout.TotalSeconds:0} s");
        }
    }

    private static HttpRequestMessage CreateRequest(ClientCredentials credentials)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "client_credentials" };
        if (credentials.Scope is { } scope)
        {
            form["scope"] = scope;
        }

        if (credentials.Audience is { } audience)
        {
            form["audience"] = audience;
        }

        var request = new HttpRequestMessage(HttpMethod.Post, credentials.TokenUrl) { Content = new FormUrlEncodedContent(form) };
        // Section 2.3.1: both are form-encoded before they are put together.
        var basic = $"{Uri.EscapeDataString(credentials.ClientId)}:{Uri.EscapeDataString(credentials.ClientSecret)}";
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(basic)));
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", DeliveryWorkerInfo.UserAgent);
        return request;
    }

    private static async Task<byte[]> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[MaxAnswerBytes];
        return buffer[..await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken)];
    }

    private Fetched Read(byte[] body, DateTimeOffset asked)
    {
        if (Parse(body) is not { } answer || Text(answer, "access_token") is not { } token || !EndpointAuthorization.IsToken(token))
        {
            return Failed("gave no access_token");
        }

        if (Text(answer, "token_type") is { } type && !type.Equals("bearer", StringComparison.OrdinalIgnoreCase))
        {
            return Failed("gave a token that is no bearer token");
        }

        var lifetime = UnknownLifetime;
        if (answer.TryGetProperty("expires_in", out var seconds)
            && double.TryParse(seconds.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var given) && given >= 0)
        {
            lifetime = given < LongestLifetime.TotalSeconds ? TimeSpan.FromSeconds(given) : LongestLifetime;
        }

        // A tenth before its end, at most 30 s: time for the request that carries it.
        var early = lifetime / 10 < MostEarly ? lifetime / 10 : MostEarly;
        return new(new(token, null), asked + lifetime - early);
    }

    private static string ErrorOf(byte[] body)
        => Parse(body) is { } answer && Text(answer, "error") is { } error && KnownErrors.Contains(error) ? " " + error : string.Empty;

    private static JsonElement? Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement json, string name)
        => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private Fetched Failed(string what) => new(new(null, new DeliveryOutcome.NotAuthorized("the token endpoint " + what)), time.GetUtcNow() + FailureHolds);

    private sealed record Fetched(TokenAnswer Answer, DateTimeOffset Until)
    {
        public override string ToString() => nameof(Fetched);
    }

    /// <summary>A fetch, begun by the first who waits for it and outside the lock.</summary>
    private sealed class Fetch
    {
        private readonly Lazy<Task<TokenAnswer>> _answer;
        private volatile Fetched? _known;

        public Fetch(OAuthTokens owner, ClientCredentials credentials) => _answer = new(async () =>
        {
            var fetched = await owner.FetchAsync(credentials);
            _known = fetched;
            return fetched.Answer;
        });

        public Task<TokenAnswer> Answer => _answer.Value;

        public Fetched? Known => _known;

        public bool HasThrown => _answer.IsValueCreated && _answer.Value.IsFaulted;
    }
}
