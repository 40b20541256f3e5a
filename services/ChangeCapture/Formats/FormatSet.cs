using System.Text;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>The formats that the options ask for. Each has buffers of its own: what is used beside the others is not shared.</summary>
internal sealed class FormatSet
{
    public FormatSet(CaptureOptions options, TimeProvider time)
    {
        var shape = new RowShape(options.WithTransaction, options.Values, Encoding.UTF8.GetBytes(options.HashSalt));
        var database = new NpgsqlConnectionStringBuilder(options.ConnectionString) is { Database: { Length: > 0 } name } ? name : "postgres";
        Events = options.Format is OutputFormat.Debezium ? new DebeziumFormat(shape, database, options.SubjectPrefix, time) : new JsonFormat(shape, pretty: false);
        Lines = options.Format switch
        {
            OutputFormat.JsonPretty => new JsonFormat(shape, pretty: true),
            OutputFormat.Text => new TextFormat(shape),
            _ => Events,
        };
        Replacements = new JsonFormat(shape with { WithTransaction = true }, pretty: false);
    }

    /// <summary>What NATS gets.</summary>
    public EventFormat Events { get; }

    /// <summary>What standard output and files get.</summary>
    public EventFormat Lines { get; }

    /// <summary>For what goes in the place of a change that is too large.</summary>
    public EventFormat Replacements { get; }
}
