using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.SchemaMigrator;

/// <summary>
/// One file of sql/. <c>migrations/0003_outbox.sql</c> is version <c>0003</c>, applied once and never changed.
/// <c>functions/30_webhooks.sql</c> is version <c>functions/30_webhooks</c>: definitions that replace those of before.
/// </summary>
internal sealed record Migration(string File, string Version, string Description, string Text)
{
    private const string Functions = "functions/";
    private const string Migrations = "migrations/";

    /// <summary>SHA-256 of the text, however a checkout ended its lines.</summary>
    public string Checksum { get; } = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Text)));

    /// <summary>Functions, views, triggers and grants: all of them are applied anew when one has changed or a migration is new, since they build on each other.</summary>
    public bool Repeatable => Version.StartsWith(Functions, StringComparison.Ordinal);

    public static Migration From(string file, string text)
    {
        var folder = file.StartsWith(Functions, StringComparison.Ordinal) ? Functions : Migrations;
        var name = Path.GetFileNameWithoutExtension(file);
        var digits = name.TakeWhile(char.IsAsciiDigit).Count();
        if (digits != (folder == Functions ? 2 : 4) || name.ElementAtOrDefault(digits) != '_')
        {
            throw new FormatException($"{file}: the name must be migrations/NNNN_what_it_does.sql or functions/NN_what_they_do.sql");
        }

        var version = folder == Functions ? folder + name : name[..digits];
        return new Migration(file, version, name[(digits + 1)..].Replace('_', ' '), text.ReplaceLineEndings("\n"));
    }

    /// <summary>The files built into this assembly, in the order in which they are applied.</summary>
    public static IReadOnlyList<Migration> Embedded()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return [.. assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Migrations, StringComparison.Ordinal) || name.StartsWith(Functions, StringComparison.Ordinal))
            .Select(name => From(name, Read(assembly, name)))
            .OrderBy(migration => migration.Repeatable)
            .ThenBy(migration => migration.Version, StringComparer.Ordinal)];
    }

    private static string Read(Assembly assembly, string name)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
