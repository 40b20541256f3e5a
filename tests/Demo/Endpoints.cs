using System.Text.Json;
using Npgsql;

namespace RuleEngineNats.Demo;

/// <summary>Where the running graph is, as <c>./run</c> wrote it.</summary>
internal sealed record Endpoints(string Postgres, string Nats, string Publish)
{
    public static async Task<Endpoints> ReadAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return await JsonSerializer.DeserializeAsync<Endpoints>(file, JsonSerializerOptions.Web, cancellationToken)
            ?? throw new InvalidDataException($"{path} is empty");
    }

    public string ConnectionString()
    {
        var uri = new Uri(Postgres);
        var user = uri.UserInfo.Split(':', 2);
        return new NpgsqlConnectionStringBuilder
        {
            Host = uri.Host,
            Port = uri.Port,
            Username = Uri.UnescapeDataString(user[0]),
            Password = user.Length > 1 ? Uri.UnescapeDataString(user[1]) : null,
            Database = uri.AbsolutePath.Trim('/'),
        }.ConnectionString;
    }
}
