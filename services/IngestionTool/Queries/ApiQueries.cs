using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Queries;

/// <summary>Questions to the API that are asked once.</summary>
internal static class ApiQueries
{
    private const int MostInPage = 1000;

    /// <exception cref="ApiRefusedException">The API refuses.</exception>
    /// <exception cref="ApiUnreachableException">It cannot be reached, or cannot answer now.</exception>
    public static async Task<JsonElement> GetAsync(this ApiClient api, string path, CancellationToken cancellationToken)
        => await api.SendAsync(HttpMethod.Get, path, null, cancellationToken);

    public static async Task<JsonElement> SendAsync(this ApiClient api, HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        var (json, problem) = await api.AskAsync(method, path, content, cancellationToken);
        using (json)
        {
            return json?.RootElement.Clone()
                ?? throw (problem!.MayPass ? new ApiUnreachableException($"{api.Url}: {problem.Text}") : new ApiRefusedException(problem.Text));
        }
    }

    /// <summary>The first rows of a list that are wanted, page by page.</summary>
    /// <returns>The rows, and whether there are more.</returns>
    public static async Task<(List<JsonElement> Rows, bool More)> ListAsync(
        this ApiClient api, string path, IReadOnlyDictionary<string, string> filters, int limit, Func<JsonElement, bool>? wanted, CancellationToken cancellationToken)
    {
        var rows = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var query = filters.Append(new("limit", $"{Math.Min(MostInPage, limit - rows.Count)}"));
            query = cursor is null ? query : query.Append(new("cursor", cursor));
            var page = await api.GetAsync($"{path}?{string.Join('&', query.Select(part => $"{part.Key}={Uri.EscapeDataString(part.Value)}"))}", cancellationToken);
            rows.AddRange(page.GetProperty("items").EnumerateArray().Where(wanted ?? (_ => true)));
            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }
        while (cursor is not null && rows.Count < limit);
        return (rows, cursor is not null);
    }

    /// <summary>Rows as a JSON array, each on a line.</summary>
    public static void WriteJson(TextWriter output, IEnumerable<JsonElement> rows)
        => output.WriteLine($"[{string.Join(",", rows.Select(row => $"\n  {JsonSerializer.Serialize(row)}"))}\n]");
}
