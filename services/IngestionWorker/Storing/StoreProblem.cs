using System.Data;
using System.Net.Sockets;
using Npgsql;
using RuleEngineNats.IngestionWorker.DeadLetters;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>What a failed write says about its documents.</summary>
internal enum StoreProblemKind
{
    /// <summary>PostgreSQL cannot be reached or cannot do it now: nothing is known about the documents. Wait and try again.</summary>
    Unavailable,

    /// <summary>A table, a column or a privilege is missing: nothing is wrong with the documents. Wait until somebody has seen to it.</summary>
    Configuration,

    /// <summary>A row refers to one that is not there (yet): that document is tried again later.</summary>
    MissingParent,

    /// <summary>PostgreSQL will never take one of the documents.</summary>
    Refused,

    /// <summary>A failure that nobody foresaw: the document is tried again later, and given up after the same number of attempts as one without its parent.</summary>
    Unexpected,
}

/// <summary>Why a write failed.</summary>
/// <param name="Kind">What follows from it.</param>
/// <param name="Code">What a dead letter would say.</param>
/// <param name="Message">For people; never a part of a document.</param>
internal sealed record StoreProblem(StoreProblemKind Kind, string Code, string Message)
{
    /// <summary>Whether one of the documents is the reason, so that the others can be stored without it.</summary>
    public bool IsOfDocument => Kind is StoreProblemKind.MissingParent or StoreProblemKind.Refused or StoreProblemKind.Unexpected;

    public static StoreProblem Of(Exception exception, NpgsqlConnection? connection) => exception switch
    {
        PostgresException refused => Of(refused),
        NpgsqlException or TimeoutException or IOException or SocketException => new(StoreProblemKind.Unavailable, "", $"PostgreSQL: {exception.Message}"),
        _ when connection is null or { State: ConnectionState.Closed or ConnectionState.Broken } => new(StoreProblemKind.Unavailable, "", $"PostgreSQL: {exception.Message}"),
        _ => new(StoreProblemKind.Unexpected, DeadLetterCodes.InternalError, $"{exception.GetType().Name} while it was stored"),
    };

    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    private static StoreProblem Of(PostgresException e) => e.SqlState switch
    {
        PostgresErrorCodes.ForeignKeyViolation => new(StoreProblemKind.MissingParent, DeadLetterCodes.Constraint, $"a row of {e.TableName} refers to one that is not there ({e.ConstraintName})"),
        // Ours, not the document's: the bytes of the COPY are none, or not of the table's types.
        PostgresErrorCodes.InvalidBinaryRepresentation or PostgresErrorCodes.BadCopyFileFormat => new(StoreProblemKind.Configuration, "", TextOf(e)),
        PostgresErrorCodes.LockNotAvailable => new(StoreProblemKind.Unavailable, "", TextOf(e)),
        // Raised by a trigger of the user's.
        PostgresErrorCodes.RaiseException => new(StoreProblemKind.Refused, DeadLetterCodes.Constraint, TextOf(e)),
        ['2', '3', ..] => new(StoreProblemKind.Refused, DeadLetterCodes.Constraint, TextOf(e)),
        // 54: an index entry or a row beyond what a page takes.
        ['2', '2', ..] or ['5', '4', ..] => new(StoreProblemKind.Refused, DeadLetterCodes.InvalidValue, TextOf(e)),
        ['0', '8', ..] or ['4', '0', ..] or ['5', '3', ..] or ['5', '7', ..] or ['5', '8', ..] => new(StoreProblemKind.Unavailable, "", TextOf(e)),
        // 42: no such table, column or privilege. And whatever is not known: waiting loses nothing.
        _ => new(StoreProblemKind.Configuration, "", TextOf(e)),
    };

    // invalid input syntax for type json: "…" would quote the document.
    private static string TextOf(PostgresException e)
    {
        var quoted = e.SqlState.StartsWith("22", StringComparison.Ordinal) ? e.MessageText.IndexOf(": \"", StringComparison.Ordinal) : -1;
        return $"{(quoted < 0 ? e.MessageText : e.MessageText[..quoted])} ({e.SqlState})";
    }
}
