using System.Text.Json;
using RuleEngineNats.Entities.Definitions;

namespace RuleEngineNats.Entities.Reading;

/// <summary>How violations are put into words; none quotes the document.</summary>
internal static class Wording
{
    public static string Misread(FieldType type, string code, JsonTokenType token) => code switch
    {
        ViolationCodes.WrongType => $"is {Json.Name(token)}{(ReadValue.IsOfType(type, token) ? " of something else" : "")}, not {Wanted(type)}",
        ViolationCodes.NotAnInteger => "is not an integer",
        ViolationCodes.OutOfRange => "is out of range",
        ViolationCodes.TooPrecise => "has more than 28 digits",
        ViolationCodes.NotADate => "is not a date",
        ViolationCodes.NotATimestamp => "is not a timestamp",
        _ => "is not a decimal number",
    };

    public static string? Limit(FieldType type, string code) => (type, code) switch
    {
        (FieldType.Integer, ViolationCodes.OutOfRange) => "-9223372036854775808 to 9223372036854775807",
        (FieldType.Decimal, ViolationCodes.OutOfRange) => "-79228162514264337593543950335 to 79228162514264337593543950335",
        (FieldType.Float, ViolationCodes.OutOfRange) => "-1.7976931348623157E+308 to 1.7976931348623157E+308",
        (FieldType.DateTime, ViolationCodes.OutOfRange) => "0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z",
        (_, ViolationCodes.TooPrecise) => "28",
        _ => null,
    };

    public static string Wanted(FieldType type) => type switch
    {
        FieldType.String => "a string",
        FieldType.Integer => "an integer",
        FieldType.Float => "a number",
        FieldType.Decimal => "a decimal number of at most 28 digits",
        FieldType.Boolean => "true or false",
        FieldType.DateTime => "a timestamp such as 2025-01-15T10:30:00Z",
        FieldType.Date => "a date such as 2025-01-15",
        FieldType.Object => "an object",
        FieldType.ListOfStrings => "a list of strings",
        _ => "a list of objects",
    };
}
