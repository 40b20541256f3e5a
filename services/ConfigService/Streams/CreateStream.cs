using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Contracts;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Streams;

internal static class CreateStream
{
    private const int MaxSubjects = 64;
    private const long HundredYears = 3_153_600_000;

    /// <summary>A stream to define; name and subjects are required.</summary>
    internal sealed class Request
    {
        /// <summary>1 to 255 characters of A-Z, a-z, 0-9, _ and -.</summary>
        public string? Name { get; set; }

        /// <summary>1 to 64 subjects or filters (* for a token, > at the end) that do not overlap.</summary>
        public string[]? Subjects { get; set; }

        /// <summary>The NATS connection; default by default.</summary>
        public string? Connection { get; set; }

        /// <summary>For people; at most 2,000 characters.</summary>
        public string? Description { get; set; }

        /// <summary>limits, interest or workqueue; limits by default.</summary>
        public string? Retention { get; set; }

        /// <summary>How long a message is kept: 0 (for ever) to 3,153,600,000 s; 604,800, a week, by default.</summary>
        public long? MaxAgeSeconds { get; set; }

        /// <summary>file or memory; file by default. Memory does not survive a restart of the server.</summary>
        public string? Storage { get; set; }

        /// <summary>Most messages; -1, the default, for no limit.</summary>
        public long? MaxMessages { get; set; }

        /// <summary>Most bytes; -1, the default, for no limit.</summary>
        public long? MaxBytes { get; set; }

        /// <summary>What a full stream does: new, the default, refuses what comes; old drops its oldest message, delivered or not.</summary>
        public string? Discard { get; set; }

        /// <summary>Copies in a cluster: 1 to 5, 1 by default.</summary>
        public int? Replicas { get; set; }

        /// <summary>How long the server remembers message ids: 1 to 86,400 s, 120 by default; each id costs it about 0.3 KB.</summary>
        public int? DuplicateWindowSeconds { get; set; }
    }

    /// <param name="Stream">The stream as it is now.</param>
    /// <param name="Created">Whether the definition is new.</param>
    /// <param name="Notices">Where an existing definition differs from the request.</param>
    internal sealed record Answer(Stream Stream, bool Created, IReadOnlyList<string> Notices);

    public static async Task<IResult> HandleAsync(
        HttpRequest request, NpgsqlDataSource rules, StreamOwner owner, ServerStreams server, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.CreateStreamRequest, cancellationToken);
        Check(body.Value, body.Problems);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        var connection = body.Value.Connection ?? ConnectionNames.DefaultConfig;
        if (await DefineAsync(rules, connection, body.Value, cancellationToken) is not var (created, notices))
        {
            return NoSuch.Connection(connection).ToResult();
        }

        await owner.ProvisionNowAsync(cancellationToken);
        var stream = (await GetStream.ReadAsync(rules, connection, body.Value.Name!, cancellationToken))!;
        var answer = new Answer(await server.LookAtAsync(stream, cancellationToken), created, notices);
        return created ? Results.Created($"/api/v1/streams/{stream.Name}?connection={connection}", answer) : Results.Ok(answer);
    }

    private static void Check(Request wanted, FieldProblems problems)
    {
        problems.Required("name", wanted.Name);
        StreamNameRules.Check("name", wanted.Name, problems);
        problems.Required("subjects", wanted.Subjects);
        CheckSubjects(wanted.Subjects, problems);
        problems.Text("connection", wanted.Connection, 128);
        problems.Text("description", wanted.Description, 2000, lines: true, minimum: 0);
        problems.OneOf("retention", wanted.Retention, "limits", "interest", "workqueue");
        problems.Range("maxAgeSeconds", wanted.MaxAgeSeconds, 0, HundredYears);
        problems.OneOf("storage", wanted.Storage, "file", "memory");
        problems.Range("maxMessages", wanted.MaxMessages, -1, long.MaxValue);
        problems.Range("maxBytes", wanted.MaxBytes, -1, long.MaxValue);
        problems.OneOf("discard", wanted.Discard, "new", "old");
        problems.Range("replicas", wanted.Replicas, 1, 5);
        problems.Range("duplicateWindowSeconds", wanted.DuplicateWindowSeconds, 1, 86_400);
    }

    private static void CheckSubjects(string[]? subjects, FieldProblems problems)
    {
        if (subjects is { Length: 0 })
        {
            problems.Add("invalid_value", "subjects", "Subjects array cannot be empty", "Name a subject.");
        }

        if (subjects is { Length: > MaxSubjects })
        {
            problems.Add(FieldProblem.TooLarge, "subjects", $"{subjects.Length} subjects, at most {MaxSubjects}", "Use wildcards.", MaxSubjects);
            return;
        }

        for (var index = 0; index < (subjects?.Length ?? 0); index++)
        {
            problems.Subject($"subjects[{index}]", subjects![index] ?? string.Empty, allowWildcards: true);
        }
    }

    // The lock makes "is it new" and the insert one step; the function takes the same one.
    private static async Task<(bool Created, IReadOnlyList<string> Notices)?> DefineAsync(
        NpgsqlDataSource rules, string config, Request wanted, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var existing = new NpgsqlCommand(
            """
            SELECT EXISTS (SELECT FROM rule_nats_streams s WHERE s.config_id = c.config_id AND s.stream_name = $2)
              FROM rule_nats_config c WHERE c.config_name = $1 FOR UPDATE
            """, connection);
        existing.Parameters.Add(new NpgsqlParameter<string> { TypedValue = config });
        existing.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Name! });
        if (await existing.ExecuteScalarAsync(cancellationToken) is not bool existed)
        {
            return null;
        }

        using var notices = new Notices(connection);
        await using var create = new NpgsqlCommand("SELECT rule_nats_stream_create($1, $2, $3, $4, $5, $6)", connection);
        create.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Name! });
        create.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = wanted.Subjects! });
        create.Parameters.Add(new NpgsqlParameter<string> { TypedValue = config });
        create.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Retention ?? "limits" });
        create.Parameters.Add(new NpgsqlParameter<long> { TypedValue = wanted.MaxAgeSeconds ?? 604_800 });
        create.Parameters.Add(Sql.Of(wanted.Description, NpgsqlDbType.Text));
        var id = (int)(await create.ExecuteScalarAsync(cancellationToken))!;
        if (!existed)
        {
            await CompleteAsync(connection, id, wanted, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return (!existed, notices.Texts);
    }

    // What rule_nats_stream_create has no parameter for.
    private static async Task CompleteAsync(NpgsqlConnection connection, int id, Request wanted, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            UPDATE rule_nats_streams s
               SET storage_type = coalesce($2, s.storage_type), max_messages = coalesce($3, s.max_messages), max_bytes = coalesce($4, s.max_bytes),
                   discard_policy = coalesce($5, s.discard_policy), replicas = coalesce($6, s.replicas),
                   duplicate_window_seconds = coalesce($7, s.duplicate_window_seconds)
             WHERE s.stream_id = $1
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(Sql.Of(wanted.Storage, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.MaxMessages, NpgsqlDbType.Bigint));
        command.Parameters.Add(Sql.Of(wanted.MaxBytes, NpgsqlDbType.Bigint));
        command.Parameters.Add(Sql.Of(wanted.Discard, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.Replicas, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of(wanted.DuplicateWindowSeconds, NpgsqlDbType.Integer));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
