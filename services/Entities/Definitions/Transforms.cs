using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Definitions;

/// <summary>The transforms of computed fields. Upstream generates any function out of a project file; these are the ones its documents use.</summary>
internal static class Transforms
{
    public const string Copy = "copy_field";
    public const string CopyIf = "copy_field_conditional";
    public const string Coalesce = "coalesce";
    public const string Constant = "constant_value";
    public const string Get = "json_get";

    private const string Optional = "json_get_optional";

    // What each json_get_… may be the source of; none: any type.
    private static readonly Dictionary<string, FieldType[]> Gets = new(StringComparer.Ordinal)
    {
        [""] = [],
        ["_string"] = [FieldType.String, FieldType.Date, FieldType.DateTime, FieldType.Decimal],
        ["_int"] = [FieldType.Integer, FieldType.Float, FieldType.Decimal],
        ["_float"] = [FieldType.Float, FieldType.Decimal],
        ["_bool"] = [FieldType.Boolean],
    };

    public static IEnumerable<string> All =>
        [Copy, CopyIf, Coalesce, Constant, .. Gets.Keys.Select(suffix => Get + suffix), .. Gets.Keys.Select(suffix => Optional + suffix)];

    /// <summary>Whether the name is a <c>json_get…</c>, which types it gives, and whether it may give nothing.</summary>
    public static bool IsGet(string transform, out FieldType[] types, out bool optional)
    {
        optional = transform.StartsWith(Optional, StringComparison.Ordinal);
        types = [];
        return transform.StartsWith(Get, StringComparison.Ordinal) && Gets.TryGetValue(transform[(optional ? Optional : Get).Length..], out types!);
    }

    /// <summary>The one argument: <c>{field: a.b}</c>, <c>{value: 1}</c> or, as the v1 form has it, <c>["a.b"]</c>.</summary>
    public static YamlNode? Argument(Keys keys)
    {
        switch (keys.Node("args"))
        {
            case null:
                return null;
            case YamlSequence { Items.Count: 1 } list:
                return list.Items[0];
            case YamlMapping { Entries.Count: 1 } mapping when mapping.Entries[0].Key.Text is "field" or "value":
                return mapping.Entries[0].Value;
            case { } other:
                keys.Problems.Add(other, "not one argument", "write {field: name} for json_get..., {value: constant} for constant_value, or a list of one");
                return null;
        }
    }
}
