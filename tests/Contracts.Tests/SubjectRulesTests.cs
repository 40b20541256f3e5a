using Xunit;

namespace RuleEngineNats.Contracts.Tests;

public sealed class SubjectRulesTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("webhooks.order-created.EU_1")]
    [InlineData("1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16")]
    [InlineData("_INBOXES.a")]
    public void A_literal_subject_is_fine(string subject) => Assert.Null(SubjectRules.Check(subject, allowWildcards: false));

    [Fact]
    public void A_subject_of_255_bytes_is_fine() => Assert.Null(SubjectRules.Check(new string('a', 255), allowWildcards: false));

    [Theory]
    [InlineData("", "empty", 0)]
    [InlineData(null, "empty", 0)]
    [InlineData("a b", "whitespace", 1)]
    [InlineData(" a", "whitespace", 0)]
    [InlineData("a\tb", "control character", 1)]
    [InlineData("a\r\nPUB x 0", "control character", 1)]
    [InlineData("a\u0000b", "control character", 1)]
    [InlineData("a\u007f", "control character", 1)]
    [InlineData("a..b", "empty token", 2)]
    [InlineData(".a", "empty token", 0)]
    [InlineData("a.", "empty token", 2)]
    [InlineData("a.*", "wildcard", 2)]
    [InlineData("a.>", "wildcard", 2)]
    [InlineData("a*b", "wildcard", 1)]
    [InlineData("$JS.API.STREAM.PURGE.X", "reserved", 0)]
    [InlineData("$SYS.REQ.SERVER.PING", "reserved", 0)]
    [InlineData("$", "reserved", 0)]
    [InlineData("_INBOX.x", "reserved", 0)]
    [InlineData("_INBOX", "reserved", 0)]
    [InlineData("ev.\u202Egnp", "character not in [A-Za-z0-9_-]", 3)]
    [InlineData("ev.ü", "character not in [A-Za-z0-9_-]", 3)]
    [InlineData("a/b", "character not in [A-Za-z0-9_-]", 1)]
    [InlineData("1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17", "more than 16 tokens", 39)]
    public void Anything_else_is_refused_with_the_byte(string? subject, string reason, int position)
    {
        var problem = SubjectRules.Check(subject, allowWildcards: false);

        Assert.Equal(new SubjectProblem(reason, position), problem);
        Assert.Equal($"subject: {reason} at byte {position}", problem!.ToString());
    }

    [Fact]
    public void The_length_counts_bytes() => Assert.Equal(new SubjectProblem("longer than 255 bytes", 255), SubjectRules.Check(new string('ü', 128), allowWildcards: false));

    [Theory]
    [InlineData(">")]
    [InlineData("*")]
    [InlineData("a.*.b")]
    [InlineData("a.*.>")]
    public void A_filter_may_have_wildcards(string filter) => Assert.Null(SubjectRules.Check(filter, allowWildcards: true));

    [Theory]
    [InlineData("a.b*", 3)]
    [InlineData("a.*b", 2)]
    [InlineData("a.>.b", 2)]
    [InlineData(">>", 0)]
    public void A_wildcard_in_the_wrong_place_is_refused_in_a_filter_too(string filter, int position)
        => Assert.Equal(new SubjectProblem("wildcard", position), SubjectRules.Check(filter, allowWildcards: true));
}

public sealed class SubjectFilterTests
{
    [Theory]
    [InlineData("a.b", "a.b", true)]
    [InlineData("a.*", "a.b", true)]
    [InlineData("a.>", "a.b.c", true)]
    [InlineData(">", "a", true)]
    [InlineData("a.*.c", "a.b.c", true)]
    [InlineData("a.b", "a.c", false)]
    [InlineData("a.*", "a", false)]
    [InlineData("a.*", "a.b.c", false)]
    [InlineData("a.>", "a", false)]
    [InlineData("a", "a.b", false)]
    public void A_filter_matches_by_tokens(string filter, string subject, bool matches) => Assert.Equal(matches, SubjectFilter.Matches(filter, subject));

    [Theory]
    [InlineData("a.>", "a.*.c", true)]
    [InlineData("a.>", "a.>", true)]
    [InlineData("a.*", "a.*", true)]
    [InlineData("a.*", "a.>", false)]
    [InlineData("a.b", "a.*", false)]
    [InlineData("*.>", "a.>", true)]
    public void A_filter_covers_another_when_it_takes_all_of_it(string outer, string inner, bool covers) => Assert.Equal(covers, SubjectFilter.Covers(outer, inner));
}
