using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace RuleEngineNats.Entities.Yaml;

/// <summary>
/// Reads the documents of a file. Definitions come from whoever may write into a ConfigMap, so what YAML offers beyond plain data is refused: aliases
/// (a few lines of which expand to gigabytes), tags, keys that are no text, a key twice, deep nesting.
/// </summary>
internal sealed class YamlFile
{
    private const string WriteOut = "write the value out";

    private readonly string _file;
    private readonly Parser _parser;
    private readonly Problems _problems;
    private bool _broken;

    private YamlFile(string file, string text, Problems problems)
        => (_file, _parser, _problems) = (file, new Parser(new StringReader(text)), problems);

    /// <summary>The documents that can be used; the others are problems.</summary>
    public static List<YamlNode> Read(string file, string text, Problems problems)
    {
        var documents = new List<YamlNode>();
        var reader = new YamlFile(file, text, problems);
        try
        {
            reader.ReadDocuments(documents);
        }
        catch (YamlException exception)
        {
            problems.Incomplete = true;
            var reason = exception is TooDeepException ? Reason(exception) : $"no valid YAML: {Reason(exception)}";
            problems.Add(file, (int)exception.Start.Line, (int)exception.Start.Column, "", reason, "correct that; what follows in this file was not looked at");
        }

        return documents;
    }

    private void ReadDocuments(List<YamlNode> documents)
    {
        while (Next())
        {
            if (_parser.Current is not DocumentStart)
            {
                continue;
            }

            Next();
            _broken = false;
            var document = ReadNode("", 0);
            _problems.Incomplete |= _broken;
            if (!_broken && document is not YamlScalar { IsNull: true })
            {
                documents.Add(document);
            }
        }
    }

    // The parser stands on the first event of the node, and afterwards on its last.
    private YamlNode ReadNode(string path, int depth)
    {
        var start = _parser.Current!;
        var (line, column) = ((int)start.Start.Line, (int)start.Start.Column);
        switch (start)
        {
            case Scalar scalar:
                Plainly(scalar, path);
                if (!IsText(scalar.Value))
                {
                    Refuse(scalar, path, "a character that PostgreSQL has no text with", "leave NUL and halves of surrogate pairs out");
                }

                return new YamlScalar(_file, line, column, path, scalar.Value, scalar.Style == ScalarStyle.Plain);
            case SequenceStart sequence:
                Plainly(sequence, path);
                return ReadSequence(new YamlSequence(_file, line, column, path, []), Deeper(start, depth));
            case MappingStart mapping:
                Plainly(mapping, path);
                return ReadMapping(new YamlMapping(_file, line, column, path, []), Deeper(start, depth));
            default:
                Refuse(start, path, "aliases are not allowed", WriteOut);
                return new YamlScalar(_file, line, column, path, "", true);
        }
    }

    private YamlSequence ReadSequence(YamlSequence sequence, int depth)
    {
        while (Next() && _parser.Current is not SequenceEnd)
        {
            sequence.Items.Add(ReadNode($"{sequence.Path}[{sequence.Items.Count}]", depth));
        }

        return sequence;
    }

    private YamlMapping ReadMapping(YamlMapping mapping, int depth)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        while (Next() && _parser.Current is not MappingEnd)
        {
            if (_parser.Current is not Scalar name)
            {
                Refuse(_parser.Current!, mapping.Path, "a key is no text", "write a name before the colon");
                ReadNode(mapping.Path, depth);
                Next();
                ReadNode(mapping.Path, depth);
                continue;
            }

            Plainly(name, mapping.Path);
            var path = mapping.Path.Length == 0 ? name.Value : $"{mapping.Path}.{name.Value}";
            var key = new YamlScalar(_file, (int)name.Start.Line, (int)name.Start.Column, path, name.Value, name.Style == ScalarStyle.Plain);
            Next();
            var value = ReadNode(path, depth);
            if (names.Add(name.Value))
            {
                mapping.Entries.Add((key, value));
            }
            else
            {
                _problems.Add(key, $"'{name.Value}' is given twice", "remove one of the two");
            }
        }

        return mapping;
    }

    // Damaged text makes the scanner throw more than its own exceptions.
    private bool Next()
    {
        try
        {
            return _parser.MoveNext();
        }
        catch (Exception exception) when (exception is not YamlException)
        {
            var at = _parser.Current?.End ?? Mark.Empty;
            throw new YamlException(at, at, "damaged text after this place", exception);
        }
    }

    // The scanner's time grows with the square of the depth, so nothing is read on.
    private static int Deeper(ParsingEvent at, int depth)
        => depth < EntityLimits.YamlDepth ? depth + 1 : throw new TooDeepException(at.Start, $"nested deeper than {EntityLimits.YamlDepth}");

    private static bool IsText(string text)
    {
        for (var index = 0; index < text.Length; index++)
        {
            if (index + 1 < text.Length && char.IsSurrogatePair(text[index], text[index + 1]))
            {
                index++;
            }
            else if (text[index] == '\0' || char.IsSurrogate(text[index]))
            {
                return false;
            }
        }

        return true;
    }

    private void Plainly(NodeEvent node, string path)
    {
        if (!node.Anchor.IsEmpty)
        {
            Refuse(node, path, $"anchors are not allowed (&{node.Anchor})", WriteOut);
        }

        // "!" alone says that a scalar is a text, which quotes say as well; the rest names types of programs.
        if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific)
        {
            Refuse(node, path, $"tags are not allowed ({node.Tag})", "leave the tag out");
        }
    }

    private void Refuse(ParsingEvent at, string path, string message, string fix)
    {
        _broken = true;
        _problems.Add(_file, (int)at.Start.Line, (int)at.Start.Column, path, message, fix);
    }

    // YamlDotNet puts the position before the reason.
    private static string Reason(YamlException exception)
    {
        var message = exception.Message;
        var reason = message.LastIndexOf("): ", StringComparison.Ordinal);
        return (reason < 0 ? message : message[(reason + 3)..]).TrimEnd('.');
    }

    private sealed class TooDeepException(Mark at, string message) : YamlException(at, at, message);
}
