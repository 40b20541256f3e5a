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
        var placed = shape with { WithTransaction = true };
        Events = Of(shape);
        Lines = options.Format switch
        {
            OutputFormat.JsonPretty => new JsonFormat(shape, pretty: true),
            OutputFormat.Text => new TextFormat(shape),
            _ => Events,
        };
        Parts = options.Format is OutputFormat.Debezium ? new JsonFormat(shape, pretty: false) : Events;
        LineParts = options.Format is OutputFormat.JsonPretty ? Lines : Parts;
        var replacements = options.Format is OutputFormat.Debezium ? new JsonFormat(placed, pretty: false) : Of(placed);
        (Changes, Replacements) = (new ChangesFormat(Events), options.Per is EventUnit.Transaction ? new ChangesFormat(replacements) : replacements);

        EventFormat Of(RowShape shape) => options.Format switch
        {
            OutputFormat.Debezium => new DebeziumFormat(shape, database, options.SubjectPrefix, time),
            OutputFormat.CloudEvents => new CloudEventsFormat(shape, database, options.Slot),
            OutputFormat.Protobuf => new ProtobufFormat(shape),
            _ => new JsonFormat(shape, pretty: false),
        };
    }

    /// <summary>The changes within <see cref="Parts"/> and <see cref="LineParts"/>.</summary>
    public EventFormat Changes { get; }

    /// <summary>What NATS gets of a transaction.</summary>
    public EventFormat Parts { get; }

    /// <summary>What standard output and files get of a transaction.</summary>
    public EventFormat LineParts { get; }

    /// <summary>What NATS gets.</summary>
    public EventFormat Events { get; }

    /// <summary>What standard output and files get.</summary>
    public EventFormat Lines { get; }

    /// <summary>For what goes in the place of a change that is too large.</summary>
    public EventFormat Replacements { get; }
}
