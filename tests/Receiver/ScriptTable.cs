using System.Collections.Concurrent;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver;

/// <summary>The scripts by path, which may change at any time.</summary>
internal sealed class ScriptTable(IEnumerable<KeyValuePair<string, ReceiverScript>> scripts)
{
    /// <summary>Stands for every path that has no script of its own.</summary>
    public const string AnyOther = "*";

    private const int MostCharacters = 1024;

    private readonly ConcurrentDictionary<string, ReceiverScript> _scripts = new(scripts);

    /// <summary>The script of a path, or null and a problem.</summary>
    public static ReceiverScript? Read(string path, string text, string source, ICollection<string> problems)
    {
        if (path != AnyOther && !path.StartsWith('/'))
        {
            problems.Add($"{source}{path}: a path begins with /; write /{path}, or * for every other path");
        }
        else if (path.StartsWith("/_", StringComparison.Ordinal))
        {
            problems.Add($"{source}{path}: paths that begin with /_ are the receiver's own; take another");
        }
        else if (path.Length > MostCharacters || path.AsSpan().IndexOfAny('?', '#') >= 0)
        {
            problems.Add($"{source}{path}: a path has at most {MostCharacters} characters and no ? or #; leave the query out, every one is answered alike");
        }

        var own = new List<string>();
        var script = ReceiverScript.Read(text, own);
        foreach (var problem in own)
        {
            problems.Add($"{source}{path}: {problem}");
        }

        return script;
    }

    public ScriptStep Next(string path)
        => _scripts.TryGetValue(path, out var script) || _scripts.TryGetValue(AnyOther, out script) ? script.Next() : new(ScriptAction.Answer, "200");

    public void Set(string path, ReceiverScript script) => _scripts[path] = script;

    public IReadOnlyDictionary<string, string> Texts() => _scripts.OrderBy(script => script.Key, StringComparer.Ordinal).ToDictionary(script => script.Key, script => script.Value.Text);
}
