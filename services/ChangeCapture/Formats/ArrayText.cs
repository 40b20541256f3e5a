namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// Arrays as PostgreSQL writes them: <c>{1,2,NULL}</c>, <c>{{a,b},{"c d","e\"f"}}</c>. One with bounds (<c>[0:1]={1,2}</c>) stays text, since JSON has none.
/// </summary>
internal static class ArrayText
{
    /// <returns>False, with nothing written, for a text that has bounds.</returns>
    public static bool TryWrite(JsonText json, uint elementType, ReadOnlySpan<byte> text)
    {
        if (text is not [(byte)'{', .., (byte)'}'])
        {
            return false;
        }

        var separator = elementType == 603 ? (byte)';' : (byte)',';
        for (var at = 0; at < text.Length;)
        {
            switch (text[at])
            {
                case (byte)'{':
                    if (at > 0)
                    {
                        json.Item();
                    }

                    json.BeginArray();
                    at++;
                    break;
                case (byte)'}':
                    json.EndArray();
                    at++;
                    break;
                case (byte)'"':
                    at = Quoted(json, elementType, text, at + 1);
                    break;
                case var other when other == separator:
                    at++;
                    break;
                default:
                    at = Plain(json, elementType, text, at, separator);
                    break;
            }
        }

        return true;
    }

    private static int Plain(JsonText json, uint elementType, ReadOnlySpan<byte> text, int start, byte separator)
    {
        var length = text[start..].IndexOfAny(separator, (byte)'}');
        var element = text.Slice(start, length);
        json.Item();
        if (element.SequenceEqual("NULL"u8))
        {
            json.Null();
        }
        else
        {
            TypedValue.Write(json, elementType, element);
        }

        return start + length;
    }

    private static int Quoted(JsonText json, uint elementType, ReadOnlySpan<byte> text, int start)
    {
        var element = new List<byte>();
        var at = start;
        for (; text[at] != '"'; at++)
        {
            at += text[at] == '\\' ? 1 : 0;
            element.Add(text[at]);
        }

        json.Item();
        TypedValue.Write(json, elementType, element.ToArray());
        return at + 1;
    }
}
