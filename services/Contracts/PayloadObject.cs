using System.Buffers;
using System.Globalization;

namespace RuleEngineNats.Contracts;

/// <summary>
/// The body of an event that is too large for a message. It lies in the JetStream Object Store, in the bucket <see cref="StreamNames.PayloadBucket"/>, under
/// the hash of its content: equal bodies are one object, and putting one twice changes nothing. The event itself has an empty body and the headers
/// <see cref="EventHeaders.BodyObject"/> and <see cref="EventHeaders.BodyObjectSize"/>.
/// </summary>
/// <param name="Sha256">SHA-256 of the body in lower-case hexadecimal: the name of the object.</param>
/// <param name="Size">Bytes of the body; 0 when not known.</param>
public sealed record PayloadObject(string Sha256, long Size)
{
    private const string Prefix = StreamNames.PayloadBucket + "/";
    private const int HexLength = 64;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    /// <summary>The value of <see cref="EventHeaders.BodyObject"/>.</summary>
    public string Reference => Prefix + Sha256;

    /// <summary>Reads the two headers.</summary>
    /// <param name="reference">Value of <see cref="EventHeaders.BodyObject"/>.</param>
    /// <param name="size">Value of <see cref="EventHeaders.BodyObjectSize"/>; anything but a number counts as not known.</param>
    /// <returns>Null when it names no object of this bucket: a header leads to nothing else that lies on the server.</returns>
    public static PayloadObject? Parse(string? reference, string? size)
    {
        if (reference is null || reference.Length != Prefix.Length + HexLength || !reference.StartsWith(Prefix, StringComparison.Ordinal)
            || reference.AsSpan(Prefix.Length).ContainsAnyExcept(HexDigits))
        {
            return null;
        }

        return new(reference[Prefix.Length..], long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes : 0);
    }
}
