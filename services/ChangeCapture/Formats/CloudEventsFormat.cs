using System.Globalization;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// CloudEvents 1.0 in structured mode, with the event of <see cref="JsonFormat"/> as data:
/// <c>{"specversion":"1.0","id":"slot:0/16B2D50:1","source":"/postgres/db/slot","type":"com.postgresql.row.insert.v1","subject":"public.users",…,"data":{…}}</c>.
/// </summary>
/// <remarks>https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md</remarks>
internal sealed class CloudEventsFormat(RowShape shape, string database, string slot) : EventFormat
{
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static ReadOnlySpan<byte> Data => "\"data\":"u8;

    private readonly string _source = $"/postgres/{Uri.EscapeDataString(database)}/{slot}";
    private readonly JsonText _json = new(pretty: false);
    private readonly JsonFormat _data = new(shape, pretty: false);

    public override string ContentType => "application/cloudevents+json";

    public override byte[] Format(in ChangeEvent change)
    {
        _json.Clear();
        _json.BeginObject();
        Text("specversion"u8, EventHeaders.CloudEventSpecVersionValue);
        Text("id"u8, change.Position.MessageId(slot, change.Described));
        Text("source"u8, _source);
        Text("type"u8, $"com.postgresql.{TypeOf(change.Message)}.v1");
        if (RelationOf(change.Message) is { } relation)
        {
            Text("subject"u8, $"{ChangeSubjects.SchemaToken(relation.Schema)}.{ChangeSubjects.Token(relation.Name)}");
        }

        if (change.Transaction is { } transaction)
        {
            // Microseconds are 10 ticks.
            Text("time"u8, Epoch.AddTicks(transaction.CommitTime * 10).ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
        }

        Text("datacontenttype"u8, "application/json");
        _json.Name("data"u8);
        _json.Raw(_data.Write(change));
        _json.EndObject();
        return _json.Written.ToArray();
    }

    // The data is the last member, and a quote within a value before it is escaped.
    public override ReadOnlyMemory<byte> Content(ReadOnlyMemory<byte> body)
        => body.Span.IndexOf(Data) is >= 0 and var data ? body[(data + Data.Length)..^1] : body;

    private static string TypeOf(WalMessage message) => message switch
    {
        WalMessage.Row { Operation: RowOperation.Insert } => "row.insert",
        WalMessage.Row { Operation: RowOperation.Update } => "row.update",
        WalMessage.Row { Operation: RowOperation.Read } => "row.read",
        WalMessage.Row => "row.delete",
        WalMessage.Truncate => "table.truncate",
        WalMessage.RelationDescription => "table.relation",
        WalMessage.Begin => "transaction.begin",
        WalMessage.Commit => "transaction.commit",
        WalMessage.Origin => "transaction.origin",
        WalMessage.TypeDescription => "transaction.type",
        WalMessage.Logical => "transaction.message",
        TransactionPart => "transaction.changes",
        OversizedEvent => "transaction.oversized",
        WalMessage.Gap => "transaction.gap",
        WalMessage.Snapshot => "transaction.snapshot",
        _ => throw new ArgumentOutOfRangeException(nameof(message), message.GetType().Name, "not an event"),
    };

    private static Relation? RelationOf(WalMessage message) => message switch
    {
        WalMessage.Row row => row.Relation,
        WalMessage.Truncate truncate => truncate.Relations[0],
        WalMessage.RelationDescription description => description.Relation,
        OversizedEvent oversized => oversized.Relation,
        _ => null,
    };

    private void Text(ReadOnlySpan<byte> name, string value)
    {
        _json.Name(name);
        _json.String(value);
    }
}
