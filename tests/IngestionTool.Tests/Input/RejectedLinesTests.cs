using System.Buffers;
using System.Text;
using System.Text.Json;
using RuleEngineNats.IngestionTool.Input;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Input;

public sealed class RejectedLinesTests
{
    [Theory]
    [InlineData("{\"a\":1, \"b\":[1.50,\"ä\"]}")]
    [InlineData("not JSON \"at\" all")]
    [InlineData("{\"a\":\"\\ud800\"}")]
    [InlineData("{\"a\":")]
    public async Task What_is_written_is_read_again_byte_for_byte(string document)
        => Assert.Equal([document], (await Line.OfAsync(Read(Written(Encoding.UTF8.GetBytes(document))))).Select(line => line.Document));

    [Fact]
    public async Task Bytes_that_are_no_text_and_deep_documents_come_back_too()
    {
        var deep = $"{new string('[', 64)}{new string(']', 64)}";
        foreach (var document in (byte[][])[[0xFF, 0x00, 0x7B], Encoding.UTF8.GetBytes(deep)])
        {
            await foreach (var line in Read(Written(document)).ReadAsync(CancellationToken.None))
            {
                Assert.Equal(document, line.Document.ToArray());
            }
        }
    }

    [Fact]
    public void A_document_stands_there_as_json_to_be_mended()
        => Assert.Equal("{\"line\":7,\"code\":\"invalid_document\",\"field\":\"$.a\",\"detail\":\"wrong\",\"document\":{\"a\":1}}", Encoding.UTF8.GetString(Written("{\"a\":1}\r"u8.ToArray())));

    [Fact]
    public async Task A_line_without_a_document_is_refused()
        => Assert.Equal(["no_document", "no_document"], (await Line.OfAsync(Read("{\"line\":1}\n[]\n"u8.ToArray()))).Select(line => line.Problem));

    private static RejectedLines Read(byte[] bytes) => new(new NdjsonLines(new MemoryStream(bytes)));

    private static byte[] Written(byte[] document)
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output);
        RejectedLines.Write(writer, 7, new("invalid_document", "$.a", "wrong"), document);
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }
}
