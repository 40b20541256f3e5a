using System.Buffers;
using System.Text.Json;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>What came back for a publish, as far as the wire is concerned.</summary>
internal enum AckKind
{
    /// <summary>A PubAck: read Stream and Sequence, or ErrorCode.</summary>
    Answered,

    /// <summary>503: nobody listens on the subject.</summary>
    NoResponders,

    /// <summary>Nothing in time.</summary>
    TimedOut,

    /// <summary>The connection was lost while waiting.</summary>
    ConnectionLost,

    /// <summary>Something that is not a PubAck.</summary>
    Malformed,
}

/// <summary>Shape: {"stream":"WEBHOOKS","seq":5,"duplicate":true} or {"error":{"code":400,"err_code":10060,"description":"..."},...}.</summary>
internal readonly record struct PubAck(AckKind Kind, string? Stream, ulong Sequence, bool Duplicate, int Code, int ErrorCode, string? Description)
{
    public static PubAck Of(AckKind kind) => new(kind, null, 0, false, 0, 0, null);
}

/// <summary>Reads a PubAck out of the receive buffer without an intermediate object; the stream's name is nearly always the one seen last.</summary>
internal sealed class PubAckReader : INatsDeserialize<PubAck>
{
    private string? _lastStream;

    public PubAck Deserialize(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return PubAck.Of(AckKind.Malformed);
        }

        try
        {
            var reader = new Utf8JsonReader(buffer);
            return Read(ref reader);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            return PubAck.Of(AckKind.Malformed);
        }
    }

    private PubAck Read(ref Utf8JsonReader reader)
    {
        string? stream = null;
        string? description = null;
        ulong sequence = 0;
        var duplicate = false;
        var code = 0;
        var errorCode = 0;
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("stream"u8))
            {
                reader.Read();
                stream = Name(ref reader);
            }
            else if (reader.ValueTextEquals("seq"u8))
            {
                reader.Read();
                sequence = reader.GetUInt64();
            }
            else if (reader.ValueTextEquals("duplicate"u8))
            {
                reader.Read();
                duplicate = reader.GetBoolean();
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                reader.Read();
                (code, errorCode, description) = ReadError(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return new PubAck(AckKind.Answered, stream, sequence, duplicate, code, errorCode, description);
    }

    private static (int Code, int ErrorCode, string? Description) ReadError(ref Utf8JsonReader reader)
    {
        var code = 0;
        var errorCode = 0;
        string? description = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.ValueTextEquals("code"u8))
            {
                reader.Read();
                code = reader.GetInt32();
            }
            else if (reader.ValueTextEquals("err_code"u8))
            {
                reader.Read();
                errorCode = reader.GetInt32();
            }
            else if (reader.ValueTextEquals("description"u8))
            {
                reader.Read();
                description = reader.GetString();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return (code, errorCode, description);
    }

    private string? Name(ref Utf8JsonReader reader)
    {
        if (_lastStream is { } last && reader.ValueTextEquals(last))
        {
            return last;
        }

        return _lastStream = reader.GetString();
    }
}
