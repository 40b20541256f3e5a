using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class IngestMessageIdTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_new_id_is_a_uuid_of_version_7_that_says_when()
    {
        var id = IngestMessageId.New(Now);
        Assert.Equal(7, id.Version);
        var bytes = id.ToByteArray(bigEndian: true);
        Assert.Equal(2, bytes[8] >> 6);
        Assert.Equal(Now.ToUnixTimeMilliseconds(), Convert.ToInt64(Convert.ToHexString(bytes.AsSpan(0, 6)), 16));
    }

    [Fact]
    public void New_ids_of_one_moment_differ()
        => Assert.Equal(100_000, Enumerable.Range(0, 100_000).Select(_ => IngestMessageId.New(Now)).ToHashSet().Count);

    [Fact]
    public void A_key_has_one_id_and_clients_do_not_share_it()
    {
        var id = IngestMessageId.ForKey("shop", "order-17");
        Assert.Equal(new Guid("3f4d5fc3-4879-8940-975f-898c1744fb89"), id);
        Assert.Equal(8, id.Version);
        Assert.NotEqual(id, IngestMessageId.ForKey("shopo", "rder-17"));
        Assert.NotEqual(id, IngestMessageId.ForKey("", "order-17"));
        Assert.NotEqual(id, IngestMessageId.ForKey("shop", "order-18"));
    }

    [Fact]
    public void Every_line_of_a_batch_has_an_id_of_its_own()
    {
        var (one, other) = (IngestMessageId.New(Now), IngestMessageId.New(Now));
        var ids = Enumerable.Range(1, 10_000).SelectMany(line => new[] { IngestMessageId.ForLine(one, line), IngestMessageId.ForLine(other, line) }).ToHashSet();
        Assert.Equal(20_000, ids.Count);
        Assert.All(ids, id => Assert.True(IngestMessageId.IsIssued(id)));
        Assert.Equal(IngestMessageId.ForLine(one, 70_000), IngestMessageId.ForLine(one, 70_000));
        Assert.NotEqual(IngestMessageId.ForLine(one, 70_000), IngestMessageId.ForLine(one, 70_000 - 65_536));
        Assert.Throws<ArgumentOutOfRangeException>(() => IngestMessageId.ForLine(one, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => IngestMessageId.ForLine(one, IngestMessageId.MaxLine + 1));
    }

    [Fact]
    public void An_id_tells_its_time_or_its_line()
    {
        var id = IngestMessageId.New(Now);
        Assert.Equal(Now, IngestMessageId.TimeOf(id));
        Assert.Null(IngestMessageId.TimeOf(IngestMessageId.ForKey("shop", "order-17")));
        Assert.All((int[])[1, 255, 256, 65_536, IngestMessageId.MaxLine], line =>
        {
            Assert.Equal(line, IngestMessageId.LineOf(IngestMessageId.ForLine(id, line)));
            Assert.Null(IngestMessageId.TimeOf(IngestMessageId.ForLine(id, line)));
        });
    }

    [Fact]
    public void Only_what_was_issued_passes()
    {
        var id = IngestMessageId.New(Now);
        Assert.True(IngestMessageId.IsIssued(id));
        Assert.True(IngestMessageId.IsIssued(IngestMessageId.ForKey("shop", "order-17")));
        for (var position = 0; position < 16; position++)
        {
            var changed = id.ToByteArray(bigEndian: true);
            changed[position] ^= 1;
            Assert.False(IngestMessageId.IsIssued(new(changed, bigEndian: true)));
        }

        Assert.False(IngestMessageId.IsIssued(new("550e8400-e29b-41d4-a716-446655440000")));
        Assert.False(IngestMessageId.IsIssued(Guid.Empty));
    }
}
