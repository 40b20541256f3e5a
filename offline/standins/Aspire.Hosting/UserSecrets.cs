using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration.UserSecrets;

namespace Aspire.Hosting;

/// <summary>The AppHost's <c>secrets.json</c>, found by the id that its project names.</summary>
internal sealed class UserSecrets(Assembly? appHost)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static readonly Lock Writing = new();

    private readonly string? _id = appHost?.GetCustomAttribute<UserSecretsIdAttribute>()?.UserSecretsId;

    public bool TrySet(string key, string value)
    {
        if (_id is null)
        {
            return false;
        }

        var file = PathHelper.GetSecretsPathFromSecretsId(_id);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);

        // The parameters of one AppHost are written at once; of two AppHosts with one id the last whole file wins, never a mixture.
        lock (Writing)
        {
            var secrets = File.Exists(file) ? JsonNode.Parse(File.ReadAllText(file))?.AsObject() ?? [] : [];
            secrets[key] = value;
            var fresh = $"{file}.{Environment.ProcessId}";
            File.WriteAllText(fresh, secrets.ToJsonString(Indented));
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(fresh, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            File.Move(fresh, file, overwrite: true);
        }

        return true;
    }
}
