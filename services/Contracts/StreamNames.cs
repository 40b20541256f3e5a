namespace RuleEngineNats.Contracts;

/// <summary>The streams this project owns.</summary>
public static class StreamNames
{
    /// <summary>Events for webhooks: <c>webhooks.&gt;</c> and <c>events.&gt;</c>. Defined by ConfigService.</summary>
    public const string Webhooks = "WEBHOOKS";

    /// <summary>Row changes captured from PostgreSQL: <c>postgres.&gt;</c>. Defined by CdcRelay.</summary>
    public const string PostgresReplication = "postgres_replication";

    /// <summary>Documents on their way into entity tables: <c>messages.ingest.&gt;</c>. Defined by IngestionApi.</summary>
    public const string Messages = "MESSAGES";

    /// <summary>Documents that could not be stored: <c>messages.dlq.&gt;</c>. Defined by IngestionApi.</summary>
    public const string MessagesDeadLetter = "MESSAGESDLQ";

    /// <summary>
    /// The Object Store bucket for bodies that are too large for a message, one on each server: the stream <c>OBJ_RULE_PAYLOADS</c>. Defined by ConfigService.
    /// </summary>
    public const string PayloadBucket = "RULE_PAYLOADS";

    /// <summary>Prefix of every subject in <see cref="Messages"/>.</summary>
    public const string IngestSubjectPrefix = "messages.ingest.";

    /// <summary>Prefix of every subject in <see cref="MessagesDeadLetter"/>.</summary>
    public const string DeadLetterSubjectPrefix = "messages.dlq.";
}

/// <summary>The durable consumers of this project's own workers.</summary>
public static class ConsumerNames
{
    /// <summary>The one durable all delivery workers share. A durable per worker would deliver every event once per worker.</summary>
    public const string DeliveryWorker = "delivery-worker";

    /// <summary>The one durable all ingestion workers share.</summary>
    public const string IngestionWorker = "ingestion-worker";
}

/// <summary>PostgreSQL notification channels.</summary>
public static class NotifyChannels
{
    /// <summary>Raised by statement-level triggers on the configuration tables; the payload is the table's name. Configuration only: never on the publish path.</summary>
    public const string ConfigChanged = "rule_config_changed";
}

/// <summary>Names of connection strings.</summary>
public static class ConnectionNames
{
    /// <summary>The PostgreSQL database.</summary>
    public const string Rules = "rules";

    /// <summary>nats-server; overrides the URL of the configuration row <see cref="DefaultConfig"/>.</summary>
    public const string Nats = "nats";

    /// <summary>The configuration row of <c>rule_nats_config</c> that is used where none is named.</summary>
    public const string DefaultConfig = "default";
}
