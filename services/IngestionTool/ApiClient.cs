using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool;

/// <summary>The API's address and who asks.</summary>
internal sealed record ApiAccess(Uri Url, string? Key)
{
    /// <summary>Tells one key from another without being it. Keys of idempotency belong to who asks.</summary>
    public string? Client => Key is null ? null : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key)).AsSpan(0, 8));
}

/// <summary>Requests to the ingestion API.</summary>
internal sealed class ApiClient : IDisposable
{
    private const string KeyHeader = "X-Api-Key";
    private const int Unavailable = 503;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    public ApiClient(ApiAccess access, TimeProvider time)
    {
        _time = time;
        // Connections are opened anew now and then, so that a load balancer's news are seen.
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.GZip,
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            ConnectTimeout = TimeSpan.FromSeconds(10),
            AllowAutoRedirect = false,
        };
        _http = new(handler) { BaseAddress = new($"{access.Url.AbsoluteUri.TrimEnd('/')}/"), Timeout = Timeout.InfiniteTimeSpan };
        if (access.Key is not null)
        {
            _http.DefaultRequestHeaders.TryAddWithoutValidation(KeyHeader, access.Key);
        }
    }

    public Uri Url => _http.BaseAddress!;

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        => _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    public Task<ApiProblem> ProblemAsync(HttpResponseMessage response, CancellationToken cancellationToken) => ApiProblem.OfAsync(response, _time, cancellationToken);

    /// <summary>Asks for JSON once. What cannot be reached is a problem that may pass, with status 503.</summary>
    public async Task<(JsonDocument? Json, ApiProblem? Problem)> AskAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Longest);
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = content };
            using var response = await SendAsync(request, limit.Token);
            if (!response.IsSuccessStatusCode)
            {
                return (null, await ProblemAsync(response, limit.Token));
            }

            await using var stream = await response.Content.ReadAsStreamAsync(limit.Token);
            return (await JsonDocument.ParseAsync(stream, cancellationToken: limit.Token), null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (null, new(Unavailable, null, e.InnerException?.Message ?? e.Message));
        }
        catch (JsonException)
        {
            return (null, new(Unavailable, null, $"{Url} does not answer as the ingestion API does; is --url right?"));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, new(Unavailable, null, $"no answer within {Longest.TotalSeconds:0} s"));
        }
    }

    public void Dispose() => _http.Dispose();
}
