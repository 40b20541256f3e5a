using RuleEngineNats.ChangeCapture.Filters;

namespace RuleEngineNats.ChangeCapture.Tests.Filters;

public sealed class NamePatternTests
{
    [Theory]
    [InlineData("public.users", "public", "users", true)]
    [InlineData("public.user", "public", "users", false)]
    [InlineData("*.order_*", "sales", "order_items", true)]
    [InlineData("*.*", "a.b", "c", true)]
    [InlineData("p?blic.*", "public", "", true)]
    [InlineData("public.*s*e*", "public", "lessee", true)]
    [InlineData("public.*ab", "public", "aab", true)]
    [InlineData("\"a.b \"\"c*\".t", "a.b \"c*", "t", true)]
    [InlineData("\"a*\".t", "ab", "t", false)]
    [InlineData("Public.users", "public", "users", false)]
    public void Patterns_fit(string pattern, string schema, string table, bool fits)
        => Assert.Equal(fits, NamePattern.Parse(pattern, "schema.table").Pattern!.Matches(schema, table));

    [Theory]
    [InlineData("users", "1 of the 2 parts")]
    [InlineData("a.b.c", "3 of the 2 parts")]
    [InlineData("", "is not a pattern")]
    [InlineData("a.", "is not a pattern")]
    [InlineData(".a", "is not a pattern")]
    [InlineData("\"a.b", "is not a pattern")]
    [InlineData("\"a\"b.c", "is not a pattern")]
    [InlineData("a\"b.c", "is not a pattern")]
    public void What_is_no_pattern_is_refused(string pattern, string reason)
        => Assert.Contains(reason, NamePattern.Parse(pattern, "schema.table").Problem, StringComparison.Ordinal);

    [Fact]
    public void What_fits_nothing_is_named_with_what_there_is()
    {
        PublishedTable[] published = [new("public", "users", ["id", "name"]), new("public", "orders", ["id"])];
        var problems = new CaptureFilter(new() { Tables = { "public.usres", "public.orders" }, HashedColumns = { "public.users.nmae", "x.*.id" } }).Check(published);
        Assert.Equal(
            [
                "Tables: no published table is public.usres; published: public.users, public.orders",
                "HashedColumns: no column is public.users.nmae; public.users has id, name",
                "HashedColumns: no published table has a column x.*.id; published: public.users, public.orders",
            ],
            problems);
        Assert.Contains("nothing is left", new CaptureFilter(new() { ExcludedTables = { "*.*" } }).Check(published).Single(), StringComparison.Ordinal);
        Assert.Empty(new CaptureFilter(new() { Tables = { "public.*" }, Columns = { "*.*.id" } }).Check(published));
    }
}
