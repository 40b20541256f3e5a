namespace RuleEngineNats.Entities.Yaml;

/// <summary>A node with its place: YAML's own object models lose it, or stop at the first repeated key.</summary>
internal abstract record YamlNode(string File, int Line, int Column, string Path);

/// <param name="Plain">Written without quotes, so that it may be a number, a truth value or null.</param>
internal sealed record YamlScalar(string File, int Line, int Column, string Path, string Text, bool Plain) : YamlNode(File, Line, Column, Path)
{
    public bool IsNull => Plain && Text is "" or "~" or "null" or "Null" or "NULL";
}

internal sealed record YamlSequence(string File, int Line, int Column, string Path, List<YamlNode> Items) : YamlNode(File, Line, Column, Path);

internal sealed record YamlMapping(string File, int Line, int Column, string Path, List<(YamlScalar Key, YamlNode Value)> Entries) : YamlNode(File, Line, Column, Path)
{
    public YamlNode? this[string key] => Entries.Find(entry => entry.Key.Text == key).Value;
}

/// <summary>A text with the place it was read from.</summary>
internal sealed record Word(string Text, YamlNode Node)
{
    public override string ToString() => Text;
}
