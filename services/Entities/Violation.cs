namespace RuleEngineNats.Entities;

/// <summary>Why a document is not what its entity says. It never quotes the document.</summary>
/// <param name="Code">One of <see cref="ViolationCodes"/>.</param>
/// <param name="Field">Where it is, such as <c>line_items[2].quantity</c>; <c>$</c> is the document itself.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="Limit">The limit that is not kept, as text; null where there is none.</param>
/// <param name="Fix">What to do about it.</param>
public sealed record Violation(string Code, string Field, string Message, string? Limit, string Fix);

/// <summary>The codes of <see cref="Violation"/>.</summary>
public static class ViolationCodes
{
    /// <summary>It is no JSON document, or one that PostgreSQL and others read differently.</summary>
    public const string InvalidJson = "invalid_json";

    /// <summary>The document, or an item of a list that is read, is no JSON object.</summary>
    public const string NotAnObject = "not_an_object";

    /// <summary>No root entity has its required fields in it.</summary>
    public const string NoEntity = "no_entity";

    /// <summary>The hint names no root entity.</summary>
    public const string UnknownEntity = "unknown_entity";

    /// <summary>A required field is missing or null.</summary>
    public const string Required = "required";

    /// <summary>A field has another JSON type.</summary>
    public const string WrongType = "wrong_type";

    /// <summary>A number with a fraction or an exponent where an integer is wanted.</summary>
    public const string NotAnInteger = "not_an_integer";

    /// <summary>A number, date or timestamp that the column cannot hold.</summary>
    public const string OutOfRange = "out_of_range";

    /// <summary>More decimal places or digits than are kept.</summary>
    public const string TooPrecise = "too_precise";

    /// <summary>Not <c>YYYY-MM-DD</c>, or a day that does not exist.</summary>
    public const string NotADate = "not_a_date";

    /// <summary>Not RFC 3339, or a moment that does not exist.</summary>
    public const string NotATimestamp = "not_a_timestamp";

    /// <summary>Not a decimal number in a string.</summary>
    public const string NotADecimal = "not_a_decimal";

    /// <summary>Longer than the maximum.</summary>
    public const string TooLong = "too_long";

    /// <summary>Shorter than the minimum.</summary>
    public const string TooShort = "too_short";

    /// <summary>Less than the minimum.</summary>
    public const string TooSmall = "too_small";

    /// <summary>More than the maximum.</summary>
    public const string TooLarge = "too_large";

    /// <summary>Does not match the pattern.</summary>
    public const string Pattern = "pattern";

    /// <summary>Is none of the values that are allowed.</summary>
    public const string NotAllowed = "not_allowed";

    /// <summary>Has none, or not all, of the fields without which there is no such entity.</summary>
    public const string NotExisting = "minimal_existence";

    /// <summary>Makes more rows than one document may.</summary>
    public const string TooManyRows = "too_many_rows";

    /// <summary>The last one of a long list: there may be more.</summary>
    public const string More = "more";
}
