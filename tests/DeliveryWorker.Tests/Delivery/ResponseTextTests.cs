using System.Text;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Tests.Delivery;

public sealed class ResponseTextTests
{
    [Fact]
    public void Bytes_that_are_no_text_become_text_of_no_more_bytes()
    {
        var bytes = Enumerable.Repeat((byte)0xff, 16_384).ToArray();

        var text = ResponseText.Decode(bytes, 16_384);

        Assert.InRange(Encoding.UTF8.GetByteCount(text), 16_380, 16_384);
    }

    [Fact]
    public void A_nul_that_postgresql_would_refuse_is_replaced() => Assert.Equal("a b", ResponseText.Decode("a\0b"u8, 10));

    [Fact]
    public void A_character_is_not_cut_in_half() => Assert.Equal("a", ResponseText.Decode("aé"u8, 2));
}
