using System.Buffers;
using System.Text;
using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class IngestEnvelopeTests
{
    private static readonly Guid Id = new("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b");
    private static readonly DateTimeOffset Received = new(2025, 11, 9, 21, 27, 0, TimeSpan.Zero);

    [Fact]
    public void It_is_written_as_the_documented_JSON()
        => Assert.Equal(
            """{"message_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","body":"{\"name\": \"é<\"}","entity_type":"Order","received_at":"2025-11-09T21:27:00Z","retry_count":0,"source":null}""",
            Encoding.UTF8.GetString(Written(new(Id, "{\"name\": \"é<\"}"u8.ToArray(), "Order", Received))));

    [Theory]
    [InlineData("""{"a":"\\u00e9 \" \n", "b": 9007199254740993}""")]
    [InlineData(" [1, 2 ,\t3]\r\n")]
    [InlineData("\"\U0001F600 \\ud83d\\ude00\"")]
    public void What_is_read_is_what_was_written(string document)
    {
        var written = Written(new(Id, Encoding.UTF8.GetBytes(document), null, Received, 2, "till 4"));
        Assert.True(IngestEnvelope.TryRead(written, out var read, out var problem));
        Assert.Null(problem);
        Assert.Equal((Id, null, Received, 2, "till 4"), (read!.MessageId, read.EntityType, read.ReceivedAt, read.RetryCount, read.Source));
        Assert.Equal(document, Encoding.UTF8.GetString(read.Body.Span));
    }

    [Fact]
    public void What_has_to_be_escaped_is_escaped_wherever_it_is()
    {
        foreach (var special in (string[])["\"", "\\", "\n", "\t", "\r", "\u0001", "\"\"\\"])
        {
            foreach (var length in (int[])[0, 1, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 2100])
            {
                for (var position = Math.Max(0, length - 40); position <= length; position++)
                {
                    var document = new string('é', length).Insert(position, special);
                    Assert.True(IngestEnvelope.TryRead(Written(new(Id, Encoding.UTF8.GetBytes(document), null, Received)), out var read, out _));
                    Assert.Equal(document, Encoding.UTF8.GetString(read!.Body.Span));
                }
            }
        }
    }

    [Fact]
    public void Fields_of_later_versions_are_passed_over()
        => Assert.True(IngestEnvelope.TryRead(
            """{"more":{"message_id":1},"message_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","body":"1","received_at":"2025-11-09T21:27:00+02:00"}"""u8, out _, out _));

    [Theory]
    [InlineData("", "not an envelope in JSON")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{} {}", "not an envelope in JSON")]
    [InlineData("{\"body\":\"1\",\"received_at\":\"2025-11-09T21:27:00Z\"}", "message_id is missing")]
    [InlineData("{\"message_id\":\"x\",\"body\":\"1\",\"received_at\":\"2025-11-09T21:27:00Z\"}", "not an envelope in JSON")]
    [InlineData("{\"message_id\":\"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\",\"received_at\":\"2025-11-09T21:27:00Z\"}", "body is missing")]
    [InlineData("{\"message_id\":\"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\",\"body\":{},\"received_at\":\"2025-11-09T21:27:00Z\"}", "not an envelope in JSON")]
    [InlineData("{\"message_id\":\"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\",\"body\":\"\\ud800\",\"received_at\":\"2025-11-09T21:27:00Z\"}", "not an envelope in JSON")]
    [InlineData("{\"message_id\":\"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\",\"body\":\"1\"}", "received_at is missing")]
    public void What_is_no_envelope_is_told_why(string json, string expected)
    {
        Assert.False(IngestEnvelope.TryRead(Encoding.UTF8.GetBytes(json), out var envelope, out var problem));
        Assert.Null(envelope);
        Assert.Equal(expected, problem);
    }

    private static byte[] Written(IngestEnvelope envelope)
    {
        var output = new ArrayBufferWriter<byte>();
        envelope.WriteTo(output);
        return output.WrittenSpan.ToArray();
    }
}
