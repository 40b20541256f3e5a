namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// A value as the JSON it stands for: numbers, booleans and JSON as such, arrays of built-in types as arrays, everything else as PostgreSQL's text.
/// NaN and infinity are texts too, since JSON has no such numbers.
/// </summary>
internal static class TypedValue
{
    // pg_type: an array type and the type of its elements. Not those of JSON: an element that is an array, or null, would look like a dimension, or NULL.
    private static readonly Dictionary<uint, uint> ElementTypes = new()
    {
        [1000] = 16,
        [1005] = 21,
        [1007] = 23,
        [1016] = 20,
        [1028] = 26,
        [1021] = 700,
        [1022] = 701,
        [1231] = 1700,
        [1009] = 25,
        [1015] = 1043,
        [1014] = 1042,
        [1002] = 18,
        [1003] = 19,
        [1001] = 17,
        [1182] = 1082,
        [1183] = 1083,
        [1270] = 1266,
        [1115] = 1114,
        [1185] = 1184,
        [1187] = 1186,
        [2951] = 2950,
        [1041] = 869,
        [651] = 650,
        [1040] = 829,
        [775] = 774,
        [1561] = 1560,
        [1563] = 1562,
        [791] = 790,
        [143] = 142,
        [3221] = 3220,
        [3905] = 3904,
        [3907] = 3906,
        [3909] = 3908,
        [3911] = 3910,
        [3913] = 3912,
        [3927] = 3926,
    };

    public static void Write(JsonText json, uint typeId, ReadOnlySpan<byte> text)
    {
        switch (typeId)
        {
            case 16:
                json.Boolean(text is [(byte)'t', ..]);
                break;
            case 20 or 21 or 23 or 26:
                json.Raw(text);
                break;
            case 700 or 701 or 1700 when IsFinite(text):
                json.Raw(text);
                break;
            case 114 or 3802:
                WriteJson(json, text);
                break;
            default:
                if (!ElementTypes.TryGetValue(typeId, out var element) || !ArrayText.TryWrite(json, element, text))
                {
                    json.String(text);
                }

                break;
        }
    }

    private static bool IsFinite(ReadOnlySpan<byte> text) => text is [(>= (byte)'0' and <= (byte)'9'), ..] or [(byte)'-', (>= (byte)'0' and <= (byte)'9'), ..];

    // In JSON a line end is always white space; within a string it would be escaped. An event is one line.
    private static void WriteJson(JsonText json, ReadOnlySpan<byte> text)
    {
        if (text.IndexOfAny("\r\n\t"u8) < 0)
        {
            json.Raw(text);
            return;
        }

        var line = text.ToArray();
        foreach (ref var value in line.AsSpan())
        {
            value = value is (byte)'\r' or (byte)'\n' or (byte)'\t' ? (byte)' ' : value;
        }

        json.Raw(line);
    }
}
