namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>A column of every built-in type and of kinds of types of one's own, and one of its array; each is named like its type.</summary>
internal static class TypeColumns
{
    public const string Types = """
        CREATE TYPE mood AS ENUM ('sad', 'o''k, "so"', '{}'); CREATE DOMAIN posint AS int CHECK (VALUE > 0); CREATE DOMAIN words AS text[];
        CREATE TYPE pair AS (a int, b text); CREATE TYPE nest AS (p pair, ps pair[], m mood); CREATE TYPE floatrange AS RANGE (subtype = float8);
        """;

    // A type, and values of it as PostgreSQL reads them.
    private static readonly (string Type, string[] Values)[] Columns =
    [
        ("bool", ["t", "f"]),
        ("int2", ["-32768", "0", "32767"]),
        ("int4", ["-2147483648", "7", "2147483647"]),
        ("int8", ["-9223372036854775808", "9007199254740993", "9223372036854775807"]),
        ("float4", ["NaN", "Infinity", "-Infinity", "-0", "3.4028235e38", "1e-45", "0.1"]),
        ("float8", ["NaN", "Infinity", "-Infinity", "-0", "1.7976931348623157e308", "5e-324", "0.1"]),
        ("numeric", ["NaN", "Infinity", "-Infinity", "0.000", "1e-200", "123456789012345678901234567890.000100", "-1e300"]),
        ("numeric(10,3)", ["1.5", "-9999999.999", "NaN"]),
        ("money", ["-12.34", "92233720368547758.07"]),
        ("text", ["", "NULL", "null", "{}", "'", "\\", "\"", "a\tb\r\nc\u0001\u007f", "é😀\u2028", "-- x", "$1", " x "]),
        ("varchar(9)", ["", "ninechars", "é😀"]),
        ("char(5)", ["", "ab", "abcde"]),
        ("name", ["n", "a b\"c"]),
        ("\"char\"", ["x", "", "\\", "\"", "é"]),
        ("bytea", ["", "\\x00ff5c27", "\\xdeadbeef"]),
        ("date", ["infinity", "-infinity", "0044-03-15 BC", "5874897-12-31", "2000-02-29"]),
        ("time", ["24:00:00", "00:00:00", "23:59:59.999999"]),
        ("timetz", ["23:59:59.999999-12", "00:00:00+15:59:59", "24:00:00+00"]),
        ("timestamp", ["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "2026-01-01 00:00:00.5"]),
        ("timestamptz", ["infinity", "-infinity", "0001-01-01 00:00:00+00 BC", "2026-03-29 01:30:00+01"]),
        ("timestamptz(3)", ["2026-01-01 00:00:00.1239+00"]),
        ("interval", ["-1 year 2 mons -3 days 04:05:06.789", "178000000 years", "-00:00:00.000001", "0"]),
        ("uuid", ["00000000-0000-0000-0000-00000000000a"]),
        ("json", ["{\"a\":  [1.0, \"\\u0041\"], \"a\": null}", "\"\\ud83d\\ude00\"", "{\n\t\"b\":\r\n1}", "1e400", "[]"]),
        ("jsonb", ["{\"b\": null, \"a\": 1e5}", "\"text\"", "[1, [2, {\"x\": \"\\\"\"}]]", "-0.10"]),
        ("xml", ["<a b=\"c\">d &amp; é</a>", "<?x y?><a/>", "text"]),
        ("inet", ["::1/64", "10.1.2.3", "10.1.2.3/8"]),
        ("cidr", ["10.0.0.0/8", "2001:db8::/32"]),
        ("macaddr", ["08:00:2b:01:02:03"]),
        ("macaddr8", ["08:00:2b:01:02:03:04:05"]),
        ("bit(3)", ["101", "000"]),
        ("varbit", ["", "1", "1010101010101010101"]),
        ("point", ["(1e300,-0)", "(NaN,Infinity)"]),
        ("line", ["{1,2,3}"]),
        ("lseg", ["[(0,0),(1,1)]"]),
        ("box", ["(2,2),(0,0)", "(0.1,1e-300),(-1,-Infinity)"]),
        ("path", ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"]),
        ("polygon", ["((0,0),(1,1),(2,0))"]),
        ("circle", ["<(0,0),5>"]),
        ("tsvector", ["'it''s':1A b 'c d':2,3B", ""]),
        ("tsquery", ["'a' & !'b c':*AB", "x <2> y | z", ""]),
        ("int4range", ["(,5]", "empty", "(,)", "[1,9)"]),
        ("int8range", ["[1,)"]),
        ("numrange", ["(1.50,NaN]", "[-Infinity,)"]),
        ("daterange", ["[2020-01-01,infinity)"]),
        ("tsrange", ["[\"2020-01-01 00:00:00\",\"2021-01-01 00:00:00\")"]),
        ("tstzrange", ["[2020-01-01 00:00+02,infinity)", "empty"]),
        ("int4multirange", ["{}", "{[1,3),[7,9)}"]),
        ("int8multirange", ["{(,)}"]),
        ("nummultirange", ["{[1.5,2),[3,)}"]),
        ("datemultirange", ["{[2020-01-01,2020-01-05)}"]),
        ("tsmultirange", ["{[2020-01-01,2020-01-05)}"]),
        ("tstzmultirange", ["{[2020-01-01,2020-01-05),(2021-01-01,)}"]),
        ("floatrange", ["[0.1,Infinity]"]),
        ("floatmultirange", ["{[0.1,0.2),[1,2]}"]),
        ("oid", ["4294967295", "0"]),
        ("pg_lsn", ["FFFFFFFF/FFFFFFFF", "0/0"]),
        ("xid", ["4294967295"]),
        ("xid8", ["18446744073709551615"]),
        ("cid", ["5"]),
        ("tid", ["(4294967295,65535)"]),
        ("pg_snapshot", ["10:20:10,14,15"]),
        ("txid_snapshot", ["10:20:"]),
        ("jsonpath", ["$.a[*] ? (@ > 1)", "strict $.\"x y\""]),
        ("regclass", ["pg_class", "-"]),
        ("regtype", ["timestamp with time zone"]),
        ("regproc", ["pg_backend_pid"]),
        ("regoperator", ["+(integer,integer)"]),
        ("regrole", ["postgres"]),
        ("regnamespace", ["pg_catalog"]),
        ("regconfig", ["simple"]),
        ("regcollation", ["\"C\""]),
        ("int2vector", ["1 2 3", ""]),
        ("oidvector", ["1 4294967295"]),
        ("refcursor", ["<unnamed portal 1>"]),
        ("aclitem", ["postgres=r*w/postgres", "=r/postgres"]),
        ("mood", ["sad", "o'k, \"so\"", "{}"]),
        ("pair", ["(1,\"x,\"\"y\")", "(,)", "(,\"\")"]),
        ("nest", ["(\"(1,\"\"a b\"\")\",\"{\"\"(2,)\"\",NULL}\",sad)"]),
        ("posint", ["5"]),
        ("words", ["{a,NULL,\"b c\"}", "[3:4]={x,\"\\\\\\\"\"}"]),
    ];

    /// <summary>A table with these columns, a key <c>id</c>, and a column that is generated.</summary>
    public static string Table(string name)
        => $"CREATE TABLE {name} (id int PRIMARY KEY, {string.Join(", ", Columns.Select(column => $"{Named(column.Type)} {column.Type}, {Named(column.Type + "[]")} {column.Type}[]"))}, generated int GENERATED ALWAYS AS (id * 2) STORED);";

    /// <summary>A new row of such a table.</summary>
    public static string Insert(string table, int id, Random random)
        => $"INSERT INTO {table} VALUES ({id}, {string.Join(", ", Columns.Select(column => $"{Value(column, random)}, {Array(column, random)}"))});";

    /// <summary>Other values for a few columns of a row, whether it is there or not.</summary>
    public static string Update(string table, int id, Random random)
        => $"UPDATE {table} SET {string.Join(", ", random.GetItems(Columns, 4).Distinct().Select(column => $"{Named(column.Type)} = {Value(column, random)}, {Named(column.Type + "[]")} = {Array(column, random)}"))} WHERE id = {id};";

    private static string Value((string Type, string[] Values) column, Random random)
        => random.Next(column.Values.Length + 1) is > 0 and var which ? Sql.Literal(column.Values[which - 1]) : "NULL";

    // None, an empty one, one with bounds, two dimensions, or one of some elements.
    private static string Array((string Type, string[] Values) column, Random random) => random.Next(8) switch
    {
        0 => "NULL",
        1 => "'{}'",
        2 => $"array_fill({Sql.Literal(column.Values[0])}::{column.Type}, '{{2,2}}')",
        3 => $"array_fill({Sql.Literal(column.Values[^1])}::{column.Type}, '{{2}}', '{{-1}}')",
        _ => $"ARRAY[{string.Join(", ", Enumerable.Range(0, random.Next(1, 4)).Select(_ => Value(column, random)))}]::{column.Type}[]",
    };

    private static string Named(string type) => Sql.Identifier(type);
}
