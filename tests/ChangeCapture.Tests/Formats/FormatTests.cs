using System.Text;
using System.Text.Json;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Formats;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Tests.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Tests.Formats;

public sealed class FormatTests
{
    private static readonly RowShape Plain = new(WithTransaction: false, ValueStyle.Text, []);

    [Fact]
    public void Json_is_upstreams_byte_for_byte()
    {
        var format = new JsonFormat(Plain, pretty: false);
        var decoder = new WalDecoder(_ => { });
        Is("""{"Begin":{"lsn":"0/16B2D50","timestamp":812345678901234,"xid":1000}}""", WalBytes.Of('B').Int64(0x16B2D50).Int64(812345678901234).Int32(1000));
        Is("""{"Relation":{"relation_id":16384,"schema":"public","table":"users","columns":[{"name":"id","type_id":23,"flags":1},{"name":"name","type_id":25,"flags":0}]}}""", WalBytes.Users());
        Is("""{"Insert":{"relation_id":16384,"schema":"public","table":"users","new_tuple":{"id":"1","name":null}}}""", WalBytes.Of('I').Int32(16384).Row('N', "1", null));
        Is("""{"Update":{"relation_id":16384,"schema":"public","table":"users","old_tuple":null,"new_tuple":{"id":"1","name":"a"}}}""", WalBytes.Of('U').Int32(16384).Row('N', "1", "a"));
        Is("""{"Update":{"relation_id":16384,"schema":"public","table":"users","old_tuple":{"id":"1","name":"a"},"new_tuple":{"id":"1","name":"b"}}}""", WalBytes.Of('U').Int32(16384).Row('O', "1", "a").Row('N', "1", "b"));
        Is("""{"Delete":{"relation_id":16384,"schema":"public","table":"users","old_tuple":{"id":"1","name":"b"}}}""", WalBytes.Of('D').Int32(16384).Row('O', "1", "b"));
        Is("""{"Commit":{"lsn":"1/A","timestamp":-1}}""", WalBytes.Of('C').Byte(0).Int64(0x10000000A).Int64(0x10000000B).Int64(ulong.MaxValue));

        void Is(string json, WalBytes bytes) => Assert.Equal(json, Encoding.UTF8.GetString(format.Format(Event(decoder.Decode(bytes.ToArray(), streamed: false)))));
    }

    [Fact]
    public void Text_that_json_must_escape_is_escaped_and_nothing_else_is()
        => Assert.Equal(
            """{"Insert":{"relation_id":16384,"schema":"public","table":"users","new_tuple":{"id":"q\" b\\ \b\f\n\r\t \u0001\u001f /<>&'","name":"é日😀""" + "\u007f\u2028\"}}}",
            Format(new JsonFormat(Plain, pretty: false), WalBytes.Of('I').Int32(16384).Row('N', "q\" b\\ \b\f\n\r\t \u0001\u001f /<>&'", "é日😀\u007f\u2028")));

    [Fact]
    public void A_key_shows_its_columns_only_and_what_was_not_sent_is_listed_by_name()
        => Assert.Equal(
            """{"Update":{"relation_id":16384,"schema":"public","table":"users","old_tuple":{"id":"1"},"new_tuple":{"id":"2"},"unchanged_toast":["name"]}}""",
            Format(new JsonFormat(Plain, pretty: false), WalBytes.Of('U').Int32(16384).Row('K', "1", null).Row('N', "2", "\0")));

    [Fact]
    public void Pretty_json_is_indented_by_two()
        => Assert.Equal(
            """
            {
              "Insert": {
                "relation_id": 16384,
                "schema": "public",
                "table": "users",
                "new_tuple": {
                  "id": "1",
                  "name": null
                }
              }
            }
            """,
            Format(new JsonFormat(Plain, pretty: true), WalBytes.Of('I').Int32(16384).Row('N', "1", null)));

    [Fact]
    public void Lines_for_people_are_upstreams()
        => Assert.Equal(
            """
            UPDATE public.users (ID: 16384)
              Old values:
                id: 1
              New values:
                id: 2
                name: NULL
            """,
            Format(new TextFormat(Plain), WalBytes.Of('U').Int32(16384).Row('K', "1", null).Row('N', "2", null)));

    [Fact]
    public void Columns_are_left_out_hashed_and_masked()
    {
        var options = new CaptureOptions { ExcludedColumns = { "public.users.id" }, HashedColumns = { "*.*.name" }, HashSalt = "salt" };
        var json = Format(new JsonFormat(Plain with { HashSalt = "salt"u8.ToArray() }, pretty: false), WalBytes.Of('I').Int32(16384).Row('N', "1", "a"), options);
        Assert.Contains("\"new_tuple\":{\"name\":\"" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData("salta"u8)) + "\"}", json, StringComparison.Ordinal);
        options = new() { MaskedColumns = { "public.users.*" }, Columns = { "public.users.name" } };
        Assert.Contains("\"new_tuple\":{\"name\":\"***\"}", Format(new JsonFormat(Plain, pretty: false), WalBytes.Of('I').Int32(16384).Row('N', "1", "a"), options), StringComparison.Ordinal);
        Assert.Contains("\"new_tuple\":{\"name\":null}", Format(new JsonFormat(Plain, pretty: false), WalBytes.Of('I').Int32(16384).Row('N', "1", null), options), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(23, "-5", "-5")]
    [InlineData(20, "9223372036854775807", "9223372036854775807")]
    [InlineData(16, "t", "true")]
    [InlineData(701, "1e-05", "1e-05")]
    [InlineData(701, "NaN", "\"NaN\"")]
    [InlineData(1700, "-Infinity", "\"-Infinity\"")]
    [InlineData(1700, "12345678901234567890.0123", "12345678901234567890.0123")]
    [InlineData(114, "{\n\t\"a\" : \"b\\n\"}", "{  \"a\" : \"b\\n\"}")]
    [InlineData(17, "\\x00ff", "\"\\\\x00ff\"")]
    [InlineData(1007, "{1,NULL,3}", "[1,null,3]")]
    [InlineData(1007, "{}", "[]")]
    [InlineData(1007, "[0:1]={1,2}", "\"[0:1]={1,2}\"")]
    [InlineData(1009, "{{a,\"b \\\"q\\\" \\\\\"},{NULL,\"NULL\"}}", "[[\"a\",\"b \\\"q\\\" \\\\\"],[null,\"NULL\"]]")]
    [InlineData(1000, "{t,f}", "[true,false]")]
    public void Typed_values_are_the_json_they_stand_for(uint type, string text, string expected)
    {
        var json = new JsonText(pretty: false);
        TypedValue.Write(json, type, Encoding.UTF8.GetBytes(text));
        var written = Encoding.UTF8.GetString(json.Written);
        Assert.Equal(expected, written);
        using var valid = JsonDocument.Parse(written);
    }

    [Fact]
    public void Debezium_gets_its_envelope()
    {
        var json = Format(new DebeziumFormat(Plain, "shop", "postgres", TimeProvider.System), WalBytes.Of('D').Int32(16384).Row('K', "1", null));
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        Assert.Equal(("d", JsonValueKind.Null, "1"), (root.GetProperty("op").GetString(), root.GetProperty("after").ValueKind, root.GetProperty("before").GetProperty("id").GetString()));
        var source = root.GetProperty("source");
        Assert.Equal(("shop", "public", "users", 256L, 1000L), (source.GetProperty("db").GetString(), source.GetProperty("schema").GetString(), source.GetProperty("table").GetString(), source.GetProperty("lsn").GetInt64(), source.GetProperty("txId").GetInt64()));
        Assert.Equal(946_684_800_001, source.GetProperty("ts_ms").GetInt64());
        Assert.Null(new DebeziumFormat(Plain, "shop", "postgres", TimeProvider.System).Format(Event(new WalMessage.Begin(1, 1, 1))));
    }

    [Fact]
    public void Cloud_events_have_their_attributes_and_the_event_as_data()
    {
        var format = new CloudEventsFormat(Plain, "my shop", "slot");
        Assert.Equal(
            """{"specversion":"1.0","id":"slot:0/200:1","source":"/postgres/my%20shop/slot","type":"com.postgresql.row.delete.v1","subject":"public.users","time":"2000-01-01T00:00:00.001000Z","datacontenttype":"application/json","data":{"Delete":{"relation_id":16384,"schema":"public","table":"users","old_tuple":{"id":"1"}}}}""",
            Format(format, WalBytes.Of('D').Int32(16384).Row('K', "1", null)));
        Assert.Equal(
            """{"specversion":"1.0","id":"slot:0/200:1","source":"/postgres/my%20shop/slot","type":"com.postgresql.transaction.begin.v1","time":"2000-01-01T00:00:00.001000Z","datacontenttype":"application/json","data":{"Begin":{"lsn":"0/200","timestamp":1000,"xid":7}}}""",
            Encoding.UTF8.GetString(format.Format(Event(new WalMessage.Begin(512, 1000, 7)))));
        Assert.Equal("{}", Encoding.UTF8.GetString(format.Content("""{"id":"a","data":{}}"""u8.ToArray()).Span));
    }

    private static string Format(EventFormat format, WalBytes bytes, CaptureOptions? options = null)
    {
        var decoder = new WalDecoder(new CaptureFilter(options ?? new()).Apply);
        decoder.Decode(WalBytes.Users().ToArray(), streamed: false);
        return Encoding.UTF8.GetString(format.Format(Event(decoder.Decode(bytes.ToArray(), streamed: false)))!);
    }

    private static ChangeEvent Event(WalMessage message) => new(message, new(512, 1), 256, new(1000, 512, 1000));
}
