using Npgsql;
using RuleEngineNats.PgoutputStream;

namespace RuleEngineNats.ChangeCapture.Tests.CommandLine;

public sealed class ConnectionTextTests
{
    [Theory]
    [InlineData("host=h port=5433 user=u password=p dbname=d sslmode=verify-full")]
    [InlineData("host = h  port= 5433 user ='u' password='p' dbname=d sslmode=verify-full")]
    [InlineData("postgres://u:p@h:5433/d?sslmode=verify-full")]
    [InlineData("postgresql://u:p@h/d?sslmode=verify-full&port=5433")]
    [InlineData("Host=h;Port=5433;Username=u;Password=p;Database=d;SSL Mode=VerifyFull")]
    public void Every_form_means_the_same(string text)
    {
        var builder = new NpgsqlConnectionStringBuilder(ConnectionText.Parse(text).ConnectionString);
        Assert.Equal(("h", 5433, "u", "p", "d", SslMode.VerifyFull), (builder.Host, builder.Port, builder.Username, builder.Password, builder.Database, builder.SslMode));
    }

    [Fact]
    public void Passwords_may_hold_anything()
    {
        Assert.Equal("a;b 'c\\", new NpgsqlConnectionStringBuilder(ConnectionText.Parse("""host=h password='a;b \'c\\'""").ConnectionString).Password);
        Assert.Equal("a:b@/ %", new NpgsqlConnectionStringBuilder(ConnectionText.Parse("postgres://u:a%3Ab%40%2F%20%25@h/d").ConnectionString).Password);
    }

    [Theory]
    [InlineData("host=h foo=bar", "'foo' is not known")]
    [InlineData("host=h port=x", "port: 'x' cannot be used")]
    [InlineData("host=h password='x", "cannot be read")]
    [InlineData("nonsense", "cannot be read")]
    public void What_cannot_be_read_is_refused_without_a_password(string text, string reason)
    {
        var problem = ConnectionText.Parse(text).Problem;
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }
}
