using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;

namespace RuleEngineNats.Contracts;

/// <summary>
/// What a body may be: one JSON value that PostgreSQL's jsonb, System.Text.Json and a receiver in any language read alike. Stricter than any of them:
/// valid UTF-8 without a byte order mark, no NUL, no lone surrogate, no name twice in an object, bounded depth, properties and numbers, nothing after the value.
/// </summary>
public static class PayloadRules
{
    /// <summary>Most bytes of a body, whatever is configured: 64 MiB. The SQL functions refuse above it too.</summary>
    public const int MaxBytes = 64 * 1024 * 1024;

    /// <summary>Default limit of a body in bytes where one is configured: 16 MiB. What is too large for a message travels as a <see cref="PayloadObject"/>.</summary>
    public const int DefaultMaxBytes = 16 * 1024 * 1024;

    /// <summary>Deepest nesting of arrays and objects.</summary>
    public const int MaxDepth = 64;

    /// <summary>Longest number in characters.</summary>
    public const int MaxNumberLength = 64;

    /// <summary>Largest exponent of a number, either sign: what a double can hold.</summary>
    public const int MaxExponent = 308;

    /// <summary>Most properties in all objects of a body together; of a body above 800 kB, one for each <see cref="BytesPerProperty"/> bytes.</summary>
    public const int MaxProperties = 50_000;

    /// <summary>Bytes of a large body for each property that it may have: bounds the memory that finding repeated names takes.</summary>
    public const int BytesPerProperty = 16;

    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    /// <summary>Checks a body.</summary>
    /// <param name="body">The bytes as they would be published.</param>
    /// <param name="maxBytes">The limit, usually <see cref="DefaultMaxBytes"/>.</param>
    /// <returns>Null when it is fine.</returns>
    public static PayloadProblem? Check(ReadOnlySpan<byte> body, int maxBytes)
    {
        if (body.IsEmpty)
        {
            return new PayloadProblem(PayloadProblemKind.Empty, "empty", 0);
        }

        if (body.Length > maxBytes)
        {
            return new PayloadProblem(PayloadProblemKind.TooLarge, $"{body.Length} bytes, at most {maxBytes}", maxBytes);
        }

        if (body.StartsWith("\uFEFF"u8))
        {
            return new PayloadProblem(PayloadProblemKind.Invalid, "byte order mark", 0);
        }

        if (!Utf8.IsValid(body))
        {
            return new PayloadProblem(PayloadProblemKind.Invalid, "not valid UTF-8", FirstInvalidByte(body));
        }

        return CheckJson(body);
    }

    private static PayloadProblem? CheckJson(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth + 1, CommentHandling = JsonCommentHandling.Disallow });
        var names = new SeenNames(stackalloc ulong[SeenNames.InitialSlots], stackalloc int[MaxDepth + 1], Math.Max(MaxProperties, body.Length / BytesPerProperty));
        try
        {
            while (reader.Read())
            {
                var problem = reader.TokenType switch
                {
                    JsonTokenType.StartObject or JsonTokenType.StartArray when reader.CurrentDepth >= MaxDepth =>
                        new PayloadProblem(PayloadProblemKind.Invalid, $"nested deeper than {MaxDepth}", (int)reader.TokenStartIndex),
                    JsonTokenType.StartObject => names.Enter(reader.CurrentDepth),
                    JsonTokenType.PropertyName => CheckString(ref reader) ?? names.Add(Hash(ref reader), reader.CurrentDepth - 1, (int)reader.TokenStartIndex),
                    JsonTokenType.String => CheckString(ref reader),
                    JsonTokenType.Number => CheckNumber(ref reader),
                    _ => null,
                };
                if (problem is not null)
                {
                    return problem;
                }
            }

            return null;
        }
        catch (JsonException)
        {
            // The reader's own message quotes the input; the position is enough.
            return new PayloadProblem(PayloadProblemKind.Invalid, "not a single JSON value", (int)reader.BytesConsumed);
        }
        finally
        {
            names.Dispose();
        }
    }

    // "\u0000" is valid JSON that jsonb refuses; half a surrogate pair is accepted by the reader and throws wherever the string is read.
    private static PayloadProblem? CheckString(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return null;
        }

        var text = reader.ValueSpan;
        var start = (int)reader.TokenStartIndex + 1;
        var index = 0;
        while (index < text.Length)
        {
            var escape = text[index..].IndexOf((byte)'\\');
            if (escape < 0)
            {
                return null;
            }

            index += escape;
            if (text[index + 1] != (byte)'u')
            {
                index += 2;
                continue;
            }

            var unit = CodeUnit(text, index);
            if (unit == 0)
            {
                return new PayloadProblem(PayloadProblemKind.Invalid, "NUL character", start + index);
            }

            var paired = char.IsHighSurrogate(unit) && index + 12 <= text.Length && text[index + 6] == (byte)'\\' && text[index + 7] == (byte)'u'
                && char.IsLowSurrogate(CodeUnit(text, index + 6));
            if (char.IsSurrogate(unit) && !paired)
            {
                return new PayloadProblem(PayloadProblemKind.Invalid, "lone surrogate", start + index);
            }

            index += paired ? 12 : 6;
        }

        return null;
    }

    private static char CodeUnit(ReadOnlySpan<byte> text, int escape)
    {
        var unit = 0;
        foreach (var digit in text.Slice(escape + 2, 4))
        {
            unit = (unit << 4) | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }

        return (char)unit;
    }

    // jsonb takes 1e131071 and prints it with 131,072 digits; a double has no such number.
    private static PayloadProblem? CheckNumber(ref Utf8JsonReader reader)
    {
        var number = reader.ValueSpan;
        if (number.Length > MaxNumberLength)
        {
            return new PayloadProblem(PayloadProblemKind.Invalid, $"number longer than {MaxNumberLength} characters", (int)reader.TokenStartIndex);
        }

        var exponent = number.IndexOfAny((byte)'e', (byte)'E');
        if (exponent < 0)
        {
            return null;
        }

        var digits = number[(exponent + 1)..].TrimStart("+-"u8).TrimStart((byte)'0');
        var value = 0;
        foreach (var digit in digits)
        {
            value = Math.Min((value * 10) + (digit - '0'), 10_000);
        }

        return value > MaxExponent
            ? new PayloadProblem(PayloadProblemKind.Invalid, "number out of range", (int)reader.TokenStartIndex)
            : null;
    }

    private static int FirstInvalidByte(ReadOnlySpan<byte> body)
    {
        var position = 0;
        while (position < body.Length && System.Text.Rune.DecodeFromUtf8(body[position..], out _, out var consumed) == OperationStatus.Done)
        {
            position += consumed;
        }

        return position;
    }

    private static ulong Hash(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return Hash(reader.ValueSpan);
        }

        var unescaped = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            return Hash(unescaped.AsSpan(0, reader.CopyString(unescaped)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(unescaped);
        }
    }

    private static ulong Hash(ReadOnlySpan<byte> name)
    {
        var hash = Fold(Seed, (ulong)name.Length + 0x9E3779B97F4A7C15);
        while (name.Length >= 8)
        {
            hash = Fold(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(name), Seed);
            name = name[8..];
        }

        var last = 0UL;
        foreach (var unit in name)
        {
            last = (last << 8) | unit;
        }

        return Fold(hash ^ last, Seed);
    }

    private static ulong Fold(ulong one, ulong other)
    {
        var high = Math.BigMul(one, other, out var low);
        return high ^ low;
    }

    /// <summary>
    /// The names met so far, as seeded 64-bit hashes of object and name in an open-addressed table: no string is made for any of them.
    /// Two different names that share a hash would be taken for one; with a seed of this process that cannot be provoked and happens once in 2^64 pairs.
    /// </summary>
    private ref struct SeenNames(Span<ulong> table, Span<int> objects, int limit)
    {
        public const int InitialSlots = 64;

        private Span<ulong> _table = table;
        private readonly Span<int> _objects = objects;
        private ulong[]? _rented;
        private int _lastObject;
        private int _count;

        public PayloadProblem? Enter(int depth)
        {
            _objects[depth] = ++_lastObject;
            return null;
        }

        public PayloadProblem? Add(ulong name, int depth, int position)
        {
            if (_count >= limit)
            {
                return new PayloadProblem(PayloadProblemKind.TooLarge, $"more than {limit} properties", position);
            }

            // Slot value 0 means free.
            var hash = Fold(name ^ Seed, ((ulong)_objects[depth] * 2) + Seed) | 1;
            if (_count * 2 >= _table.Length)
            {
                Grow();
            }

            if (!Insert(_table, hash))
            {
                return new PayloadProblem(PayloadProblemKind.Invalid, "name given twice in one object", position);
            }

            _count++;
            return null;
        }

        public void Dispose()
        {
            if (_rented is not null)
            {
                ArrayPool<ulong>.Shared.Return(_rented);
                _rented = null;
            }
        }

        private static bool Insert(Span<ulong> table, ulong hash)
        {
            var slot = (int)((hash >> 1) & (ulong)(table.Length - 1));
            while (table[slot] != 0)
            {
                if (table[slot] == hash)
                {
                    return false;
                }

                slot = (slot + 1) & (table.Length - 1);
            }

            table[slot] = hash;
            return true;
        }

        private void Grow()
        {
            var length = _table.Length * 4;
            var rented = ArrayPool<ulong>.Shared.Rent(length);
            var larger = rented.AsSpan(0, length);
            larger.Clear();
            foreach (var hash in _table)
            {
                if (hash != 0)
                {
                    Insert(larger, hash);
                }
            }

            Dispose();
            _rented = rented;
            _table = larger;
        }
    }
}

/// <summary>The kinds of <see cref="PayloadProblem"/>.</summary>
public enum PayloadProblemKind
{
    /// <summary>There is no body.</summary>
    Empty,

    /// <summary>It is not the JSON that is wanted.</summary>
    Invalid,

    /// <summary>It is beyond a size limit.</summary>
    TooLarge,
}

/// <summary>Why a body is refused, and where.</summary>
/// <param name="Kind">The kind of problem.</param>
/// <param name="Reason">What is wrong; never a part of the body.</param>
/// <param name="Byte">Offset of the offending byte, or of the value it is in; the first byte is 0.</param>
public sealed record PayloadProblem(PayloadProblemKind Kind, string Reason, int Byte)
{
    /// <summary>The message every edge shows.</summary>
    public override string ToString() => $"payload: {Reason} at byte {Byte}";
}
