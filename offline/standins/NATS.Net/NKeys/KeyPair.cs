using System.Buffers.Binary;
using System.Security.Cryptography;

namespace NATS.NKeys;

/// <summary>Whose key it is; the letter that its text begins with.</summary>
public enum PrefixByte : byte
{
    Operator = 14 << 3,
    Server = 13 << 3,
    Cluster = 2 << 3,
    Account = 0,
    User = 20 << 3,
    Curve = 23 << 3,
}

public class NKeysException : Exception
{
    public NKeysException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

/// <summary>An Ed25519 key in NATS' own text form: base32 over a prefix, the key and a CRC-16.</summary>
public sealed class KeyPair : IDisposable
{
    private const byte SeedPrefix = 18 << 3; // 'S'
    private const int KeySize = 32;

    private readonly byte[]? _seed;
    private readonly byte[] _publicKey;

    private KeyPair(PrefixByte prefix, byte[]? seed, byte[] publicKey)
    {
        Prefix = prefix;
        _seed = seed;
        _publicKey = publicKey;
    }

    public PrefixByte Prefix { get; }

    public static KeyPair CreatePair(PrefixByte prefix)
    {
        var seed = RandomNumberGenerator.GetBytes(KeySize);
        return new KeyPair(prefix, seed, Ed25519.PublicKey(seed));
    }

    public static KeyPair FromSeed(ReadOnlySpan<char> encodedSeed)
    {
        var raw = Decode(encodedSeed);
        if (raw.Length != KeySize + 2 || (raw[0] & 0xF8) != SeedPrefix)
        {
            throw new NKeysException("Invalid seed");
        }

        // The second prefix is spread over both bytes: three bits here, five there.
        var prefix = (PrefixByte)(((raw[0] & 7) << 5) | ((raw[1] & 0xF8) >> 3));
        var seed = raw[2..];
        return new KeyPair(prefix, seed, Ed25519.PublicKey(seed));
    }

    public static KeyPair FromPublicKey(ReadOnlySpan<char> publicKey)
    {
        var raw = Decode(publicKey);
        if (raw.Length != KeySize + 1 || !Enum.IsDefined((PrefixByte)raw[0]))
        {
            throw new NKeysException("Invalid public key");
        }

        return new KeyPair((PrefixByte)raw[0], null, raw[1..]);
    }

    public string GetSeed()
    {
        var seed = Seed();
        var raw = new byte[KeySize + 2];
        raw[0] = (byte)(SeedPrefix | ((byte)Prefix >> 5));
        raw[1] = (byte)(((byte)Prefix & 31) << 3);
        seed.CopyTo(raw, 2);
        return Encode(raw);
    }

    public string GetPublicKey() => Encode([(byte)Prefix, .. _publicKey]);

    public void Sign(ReadOnlyMemory<byte> message, Memory<byte> signature) => Ed25519.Sign(Seed(), message.Span).CopyTo(signature);

    public bool Verify(ReadOnlyMemory<byte> message, ReadOnlyMemory<byte> signature) => Ed25519.Verify(_publicKey, message.Span, signature.Span);

    public void Dispose()
    {
        if (_seed is not null)
        {
            CryptographicOperations.ZeroMemory(_seed);
        }
    }

    private static string Encode(byte[] raw)
    {
        var checkedBytes = new byte[raw.Length + 2];
        raw.CopyTo(checkedBytes, 0);
        BinaryPrimitives.WriteUInt16LittleEndian(checkedBytes.AsSpan(raw.Length), Crc16(raw));
        return Base32.Encode(checkedBytes);
    }

    private static byte[] Decode(ReadOnlySpan<char> text)
    {
        var bytes = Base32.Decode(text);
        if (bytes.Length < 4 || BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(bytes.Length - 2)) != Crc16(bytes.AsSpan(0, bytes.Length - 2)))
        {
            throw new NKeysException("Invalid checksum");
        }

        return bytes[..^2];
    }

    // CRC-16/XMODEM
    private static ushort Crc16(ReadOnlySpan<byte> data)
    {
        ushort crc = 0;
        foreach (var b in data)
        {
            crc ^= (ushort)(b << 8);
            for (var i = 0; i < 8; i++)
            {
                crc = (ushort)((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
            }
        }

        return crc;
    }

    private byte[] Seed() => _seed ?? throw new NKeysException("No seed: this pair was made from a public key");
}

/// <summary>RFC 4648 base32 without padding.</summary>
internal static class Base32
{
    private const string Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    public static string Encode(ReadOnlySpan<byte> data)
    {
        var result = new char[(data.Length * 8 + 4) / 5];
        int bits = 0, value = 0, at = 0;
        foreach (var b in data)
        {
            value = ((value << 8) | b) & 0xFFFF;
            for (bits += 8; bits >= 5; bits -= 5)
            {
                result[at++] = Digits[(value >> (bits - 5)) & 31];
            }
        }

        if (bits > 0)
        {
            result[at] = Digits[(value << (5 - bits)) & 31];
        }

        return new string(result);
    }

    public static byte[] Decode(ReadOnlySpan<char> text)
    {
        var result = new byte[text.Length * 5 / 8];
        int bits = 0, value = 0, at = 0;
        foreach (var c in text)
        {
            var digit = Digits.IndexOf(c, StringComparison.Ordinal);
            if (digit < 0)
            {
                throw new NKeysException("Invalid base32 text");
            }

            value = ((value << 5) | digit) & 0xFFFF;
            bits += 5;
            if (bits >= 8)
            {
                bits -= 8;
                result[at++] = (byte)(value >> bits);
            }
        }

        return result;
    }
}
