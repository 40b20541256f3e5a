using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.SchemaMigrator;

/// <summary>One file of sql/migrations, e.g. <c>0003_outbox.sql</c>: version <c>0003</c>, description <c>outbox</c>.</summary>
internal sealed record Migration(string File, string Version, string Description, string Text)
{
    private const string Prefix = "migrations/";

    /// <summary>SHA-256 of the text, however a checkout ended its lines.</summary>
    public string Checksum { get; } = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Text)));

    public static Migration From(string file, string text)
    {
        var name = Path.GetFileNameWithoutExtension(file);
        var separator = name.IndexOf('_', StringComparison.Ordinal);
        return separator is 4 && name[..4].All(char.IsAsciiDigit)
            ? new Migration(file, name[..4], name[5..].Replace('_', ' '), text.ReplaceLineEndings("\n"))
            : throw new FormatException($"{file}: a migration is named NNNN_what_it_does.sql");
    }

    /// <summary>The migrations built into this assembly, in order.</summary>
    public static IReadOnlyList<Migration> Embedded()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return [.. assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(name => From(name[Prefix.Length..], Read(assembly, name)))
            .OrderBy(migration => migration.Version, StringComparer.Ordinal)];
    }

    private static string Read(Assembly assembly, string name)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
