namespace RuleEngineNats.Entities.Definitions;

internal enum FieldType
{
    String,
    Integer,
    Float,
    Decimal,
    Boolean,
    DateTime,
    Date,
    Object,
    ListOfStrings,
    ListOfObjects,
}

/// <summary>The types of fields, under the names of both forms.</summary>
internal static class FieldTypes
{
    /// <summary>PostgreSQL's limit of <c>varchar(n)</c>.</summary>
    public const int LongestVarchar = 10_485_760;

    private static readonly Dictionary<string, FieldType> Names = new(StringComparer.Ordinal)
    {
        ["String"] = FieldType.String,
        ["Integer"] = FieldType.Integer,
        ["Float"] = FieldType.Float,
        ["Decimal"] = FieldType.Decimal,
        ["Boolean"] = FieldType.Boolean,
        ["DateTime"] = FieldType.DateTime,
        ["Date"] = FieldType.Date,
        ["Object"] = FieldType.Object,
        ["List[String]"] = FieldType.ListOfStrings,
        ["List[Object]"] = FieldType.ListOfObjects,
        // Those of the v1 form.
        ["string"] = FieldType.String,
        ["integer"] = FieldType.Integer,
        ["bigint"] = FieldType.Integer,
        ["float"] = FieldType.Float,
        ["decimal"] = FieldType.Decimal,
        ["boolean"] = FieldType.Boolean,
        ["timestamp"] = FieldType.DateTime,
        ["date"] = FieldType.Date,
        ["json"] = FieldType.Object,
    };

    public static IEnumerable<string> All => Names.Keys.Take(10);

    public static FieldType? Find(string name) => Names.TryGetValue(name, out var type) ? type : null;

    public static string Name(FieldType type) => Names.First(pair => pair.Value == type).Key;

    public static bool IsJson(FieldType type) => type is FieldType.Object or FieldType.ListOfStrings or FieldType.ListOfObjects;

    public static bool IsNumber(FieldType type) => type is FieldType.Integer or FieldType.Float or FieldType.Decimal;

    public static EntityValueKind Kind(FieldType type) => type switch
    {
        FieldType.String => EntityValueKind.Text,
        FieldType.Integer => EntityValueKind.Bigint,
        FieldType.Float => EntityValueKind.Real,
        FieldType.Decimal => EntityValueKind.Numeric,
        FieldType.Boolean => EntityValueKind.Boolean,
        FieldType.DateTime => EntityValueKind.Timestamptz,
        FieldType.Date => EntityValueKind.Date,
        _ => EntityValueKind.Jsonb,
    };
}
