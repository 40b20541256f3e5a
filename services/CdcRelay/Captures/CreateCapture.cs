using Microsoft.Extensions.Options;
using RuleEngineNats.ChangeCapture;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>What a row of <c>rule_cdc_captures</c> is to the library.</summary>
internal sealed class CreateCapture(IConfiguration configuration, NatsConnections nats, IOptions<ChangesOptions> options, ILoggerFactory loggers, TimeProvider time)
{
    /// <returns>Null where the NATS configuration is off or gone.</returns>
    public ConnectionSettings? NatsSettings(CaptureSettings settings) => nats.SettingsOf(settings.Config);

    public Capture Create(CaptureDefinition definition, ConnectionSettings access, IProgress<SnapshotProgress> progress)
    {
        var settings = definition.Settings;
        var capture = new CaptureOptions
        {
            ConnectionString = configuration.GetConnectionString("rules")!,
            Slot = settings.Slot,
            CreateSlot = definition.Recover || !definition.HadSlot,
            RecoverSlot = definition.Recover,
            Format = Enum.Parse<OutputFormat>(settings.Format, ignoreCase: true),
            Values = settings.TypedValues ? ValueStyle.Typed : ValueStyle.Text,
            WithTransaction = settings.WithTransaction,
            Per = Enum.Parse<EventUnit>(settings.EventUnit, ignoreCase: true),
            Oversized = settings.Oversized == "dead-letter" ? OversizedPolicy.DeadLetter : OversizedPolicy.Stop,
            HashSalt = options.Value.HashSalt,
            StandardOutput = false,
            NatsSettings = access,
            NatsStream = settings.Stream,
            SubjectPrefix = settings.SubjectPrefix,
            MaxInFlight = options.Value.MaxInFlight,
            SpoolDirectory = options.Value.SpoolDirectory,
            SpillDirectory = options.Value.SpillDirectory,
            WalPolicy = Enum.Parse<WalPolicy>(settings.WalPolicy, ignoreCase: true),
            WalLimit = settings.WalLimit,
            HeartbeatInterval = TimeSpan.FromSeconds(settings.HeartbeatSeconds),
        };
        capture.NatsServers.Add(access.Url);
        capture.Publications.Add(settings.Publication);
        Add(capture.ExcludedColumns, settings.Excluded);
        Add(capture.HashedColumns, settings.Hashed);
        Add(capture.MaskedColumns, settings.Masked);
        Add(capture.RowFilters, settings.RowFilters);
        return new(capture, loggers, time) { SnapshotProgress = progress };
    }

    private static void Add(ICollection<string> list, NameList patterns)
    {
        foreach (var name in patterns.Names)
        {
            list.Add(name);
        }
    }
}
