using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.Contracts;

/// <summary>
/// Ids of ingested documents and batches: UUIDs (RFC 9562) that prove that they were issued here, so that one which no worker has recorded yet can be told from one
/// that nobody ever got. The last 24 bits are a check over the others.
/// <code>
/// of a document      48 bits ms since 1970, version 7, 12 bits counter, variant, 38 bits random, 24 bits check
/// of a key           48 bits of the hash,   version 8, 12 bits of it,   variant, 38 bits of it,  24 bits check
/// of a batch's line  48 bits of the batch,  version 8, 20 bits line, variant, 30 bits hash of the batch, 24 bits check
/// </code>
/// The check is no secret: whoever forges an id learns that it is accepted and nothing else.
/// </summary>
public static class IngestMessageId
{
    /// <summary>Highest line number of a batch.</summary>
    public const int MaxLine = (1 << 20) - 1;

    private const int Size = 16;
    private const uint CheckMask = 0xFF_FFFF;

    private static int _counter = Random.Shared.Next();

    /// <summary>A new id, later than those before it, so that an index grows at its end.</summary>
    /// <param name="now">The time of acceptance.</param>
    public static Guid New(DateTimeOffset now)
    {
        Span<byte> id = stackalloc byte[Size];
        var counter = Interlocked.Increment(ref _counter);
        BinaryPrimitives.WriteInt64BigEndian(id, now.ToUnixTimeMilliseconds() << 16);
        RandomNumberGenerator.Fill(id[8..]);
        (id[6], id[7]) = ((byte)(0x70 | ((counter >> 8) & 0x0F)), (byte)counter);
        return Seal(id);
    }

    /// <summary>The id that belongs to an idempotency key: the same for the same scope and key, on every machine.</summary>
    /// <param name="scope">Whose key it is: keys of two clients do not meet.</param>
    /// <param name="key">The value of <c>Idempotency-Key</c>.</param>
    public static Guid ForKey(string scope, string key)
    {
        Span<byte> id = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes($"key\n{scope.Length}\n{scope}{key}"), id);
        id[6] = (byte)(0x80 | (id[6] & 0x0F));
        return Seal(id[..Size]);
    }

    /// <summary>The id of one line of a batch.</summary>
    /// <param name="batch">The batch's id.</param>
    /// <param name="line">The line's number, 1 to <see cref="MaxLine"/>.</param>
    public static Guid ForLine(Guid batch, int line)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(line);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(line, MaxLine);
        Span<byte> id = stackalloc byte[Size];
        batch.TryWriteBytes(id, bigEndian: true, out _);
        var hash = Mix(BinaryPrimitives.ReadUInt64BigEndian(id), BinaryPrimitives.ReadUInt64BigEndian(id[8..]));
        BinaryPrimitives.WriteUInt64BigEndian(id[8..], hash);
        (id[6], id[7], id[9]) = ((byte)(0x80 | (line >> 16)), (byte)(line >> 8), (byte)line);
        return Seal(id);
    }

    /// <summary>Whether an id was issued here. One that was not passes once in 16 million.</summary>
    public static bool IsIssued(Guid id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        return Check(bytes) == (BinaryPrimitives.ReadUInt32BigEndian(bytes[^4..]) & CheckMask) && (bytes[6] >> 4) is 7 or 8 && (bytes[8] >> 6) == 2;
    }

    /// <summary>When a document's own id was issued; null for the id of a key, of a batch's line or of anything else.</summary>
    public static DateTimeOffset? TimeOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        var milliseconds = BinaryPrimitives.ReadInt64BigEndian(bytes) >>> 16;
        return bytes[6] >> 4 == 7 && milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null;
    }

    /// <summary>The line of an id that <see cref="ForLine"/> has made.</summary>
    public static int LineOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        return ((bytes[6] & 0x0F) << 16) | (bytes[7] << 8) | bytes[9];
    }

    private static Guid Seal(Span<byte> id)
    {
        id[8] = (byte)(0x80 | (id[8] & 0x3F));
        var last = BinaryPrimitives.ReadUInt32BigEndian(id[^4..]);
        BinaryPrimitives.WriteUInt32BigEndian(id[^4..], (last & ~CheckMask) | Check(id));
        return new Guid(id, bigEndian: true);
    }

    private static uint Check(ReadOnlySpan<byte> id)
        => (uint)Mix(BinaryPrimitives.ReadUInt64BigEndian(id), BinaryPrimitives.ReadUInt64BigEndian(id[8..]) & ~(ulong)CheckMask) & CheckMask;

    // Nobody has to be kept from computing it, so it may be quick: the finalizer of SplitMix64, twice.
    private static ulong Mix(ulong high, ulong low)
    {
        return Finish(Finish(high + 0x9E3779B97F4A7C15) ^ low);

        static ulong Finish(ulong value)
        {
            value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
            value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
            return value ^ (value >> 31);
        }
    }
}
