using System.Globalization;

namespace RuleEngineNats.Entities.Yaml;

/// <summary>Reads the keys of a mapping. Each read makes its key a known one; <see cref="End"/> reports all others.</summary>
internal sealed class Keys(YamlMapping mapping, Problems problems)
{
    private readonly List<string> _known = [];

    public YamlMapping Mapping => mapping;

    public Problems Problems => problems;

    public static Keys? From(YamlNode node, Problems problems)
    {
        if (node is YamlMapping mapping)
        {
            return new Keys(mapping, problems);
        }

        problems.Add(node, $"{Kind(node)} where a mapping is wanted", "write keys with values, one a line");
        return null;
    }

    /// <summary>The value as it is; null when the key is missing or has no value.</summary>
    public YamlNode? Node(string key)
    {
        _known.Add(key);
        return mapping[key] is { } node and not YamlScalar { IsNull: true } ? node : null;
    }

    public Word? Word(string key) => Node(key) is { } node ? ToWord(node) : null;

    public Word? Required(string key)
    {
        var word = Word(key);
        if (word is null && Node(key) is null)
        {
            problems.Add(mapping, $"'{key}' is missing", $"add {key}:");
        }

        return word;
    }

    public bool? Flag(string key)
    {
        if (Node(key) is not { } node)
        {
            return null;
        }

        if (node is YamlScalar { Plain: true, Text: "true" or "True" or "TRUE" or "false" or "False" or "FALSE" } scalar)
        {
            return scalar.Text[0] is 't' or 'T';
        }

        problems.Add(node, $"{Kind(node)} where true or false is wanted", "write true or false");
        return null;
    }

    public int? Number(string key, int least, int most) => Node(key) is { } node ? ToNumber(node, least, most, problems) : null;

    public static int? ToNumber(YamlNode node, int least, int most, Problems problems)
    {
        if (node is YamlScalar { Plain: true } scalar && int.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= least && number <= most)
        {
            return number;
        }

        problems.Add(node, $"{Kind(node)} where a whole number from {least} to {most} is wanted", $"write a number from {least} to {most}");
        return null;
    }

    public Keys? Section(string key) => Node(key) is { } node ? From(node, problems) : null;

    public IEnumerable<Keys> Sections(string key) => Nodes(key).Select(node => From(node, problems)).OfType<Keys>();

    public List<Word> Words(string key) => [.. Nodes(key).Select(ToWord).OfType<Word>()];

    public List<YamlNode> Nodes(string key)
    {
        switch (Node(key))
        {
            case null:
                return [];
            case YamlSequence sequence:
                return sequence.Items;
            case { } node:
                problems.Add(node, $"{Kind(node)} where a list is wanted", "write a list: one '- ' line for each");
                return [];
        }
    }

    public Word? ToWord(YamlNode node)
    {
        if (node is YamlScalar { IsNull: false } scalar)
        {
            return new(scalar.Text, scalar);
        }

        problems.Add(node, $"{Kind(node)} where a text is wanted", "write a text");
        return null;
    }

    /// <summary>Reports the keys that nobody read.</summary>
    public void End()
    {
        foreach (var (key, _) in mapping.Entries)
        {
            if (!_known.Contains(key.Text))
            {
                problems.Add(key, $"unknown key '{key.Text}'", Nearest.Fix(key.Text, _known));
            }
        }
    }

    public static string Kind(YamlNode node) => node switch
    {
        YamlMapping => "a mapping",
        YamlSequence => "a list",
        YamlScalar { IsNull: true } => "nothing",
        YamlScalar scalar => $"'{Short(scalar.Text)}'",
        _ => "something else",
    };

    private static string Short(string text) => text.Length <= 40 ? text : $"{text[..40]}...";
}
