using System.Text.RegularExpressions;
using Npgsql;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.ChangeCapture;

/// <summary>What options must be before anything is connected to.</summary>
internal static partial class CaptureOptionsRules
{
    private const int MostNameBytes = 63;

    /// <summary>Everything that is wrong, each beginning with the option's name.</summary>
    public static IReadOnlyList<string> Problems(CaptureOptions options)
    {
        var problems = new List<string>(new CaptureFilter(options).Problems);
        Require(Connects(options.ConnectionString) is null, $"ConnectionString: {Connects(options.ConnectionString)}");
        Require(SlotName().IsMatch(options.Slot), $"Slot: '{options.Slot}' is no slot name: 1 to 63 of a-z, 0-9 and _");
        Require(options.Publications.Count > 0, "Publications: name at least one");
        foreach (var publication in options.Publications)
        {
            Require(IsIdentifier(publication), $"Publications: '{publication}' is no publication name: 1 to {MostNameBytes} bytes without NUL");
        }

        Require(
            SubjectRules.Check(options.SubjectPrefix, allowWildcards: false) is null,
            $"SubjectPrefix: '{options.SubjectPrefix}': {SubjectRules.Check(options.SubjectPrefix, allowWildcards: false)}");
        Require(StreamName().IsMatch(options.NatsStream), $"NatsStream: '{options.NatsStream}' is no stream name: 1 to 255 of A-Z, a-z, 0-9, _ and -");
        foreach (var url in options.NatsServers.SelectMany(server => server.Split(',')))
        {
            Require(
                Uri.TryCreate(url.Contains("://", StringComparison.Ordinal) ? url : $"nats://{url}", UriKind.Absolute, out var parsed)
                    && parsed.Scheme is "nats" or "tls" or "ws" or "wss" && parsed.Host.Length > 0,
                $"NatsServers: '{Messaging.NatsUrls.Redact(url)}' is no server: write nats://host:port (tls, ws and wss are known too)");
        }

        problems.AddRange(NatsAccess.Problems(options));
        Require(options.NatsMaxBytes is -1 or > 0, $"NatsMaxBytes: {options.NatsMaxBytes} is neither -1 (no limit) nor a number of bytes");
        Require(options.NatsMaxAge == TimeSpan.Zero || options.NatsMaxAge >= TimeSpan.FromSeconds(1), $"NatsMaxAge: {options.NatsMaxAge} is neither zero (no limit) nor at least 1 s");
        Require(options.NatsReplicas is >= 1 and <= 5, $"NatsReplicas: {options.NatsReplicas} is not in 1 to 5");
        Require(options.StandardOutput || options.File is not null || options.NatsServers.Count > 0, "StandardOutput: without it, File or NatsServers there is nowhere to write to");
        Require(options.File is not "", "File: a path is missing");
        Require(options.DeadLetterFile is not "", "DeadLetterFile: a path is missing");
        Require(options.DeadLetterFile is null || options.Oversized is OversizedPolicy.DeadLetter, "DeadLetterFile: give it with Oversized: DeadLetter (--oversized dead-letter); otherwise nothing is replaced");
        Require(options.Oversized is OversizedPolicy.Stop || options.NatsServers.Count > 0, "Oversized: without NatsServers (--nats-server) nothing has a limit");
        Require(options.Operations.Count > 0, "Operations: name at least one of insert, update, delete, truncate");
        problems.AddRange(options.SnapshotTables.Select(text => NamePattern.Parse(text, NamePattern.Table).Problem).OfType<string>().Select(problem => $"SnapshotTables: {problem}"));
        Require(options.SnapshotParallelism is >= 1 and <= 16, $"SnapshotParallelism: {options.SnapshotParallelism} is not in 1 to 16");
        Require(options.SnapshotChunkRows is >= 1 and <= 100_000, $"SnapshotChunkRows: {options.SnapshotChunkRows} is not in 1 to 100,000");
        Require(options.MaxInFlight is >= 1 and <= 60_000, $"MaxInFlight: {options.MaxInFlight} is not in 1 to 60,000");
        Require(options.MaxInFlightBytes >= 65_536, $"MaxInFlightBytes: {options.MaxInFlightBytes} is less than 65,536");
        Require(options.ConfirmInterval >= TimeSpan.FromMilliseconds(10) && options.ConfirmInterval <= TimeSpan.FromSeconds(10), $"ConfirmInterval: {options.ConfirmInterval} is not in 10 ms to 10 s");
        Require(options.WalLimit is null or >= 1_048_576, $"WalLimit: {options.WalLimit} is less than 1,048,576 bytes");
        Require(options.SpillDirectory is not "", "SpillDirectory: a path is missing");
        Require(options.WalPolicy is not WalPolicy.Spill || options.SpillDirectory is not null, "SpillDirectory: WalPolicy spill needs a folder on durable storage: name one (--spill-directory; Changes:SpillDirectory in CdcRelay)");
        Require(options.WalSpillLimit >= 1_048_576, $"WalSpillLimit: {options.WalSpillLimit} is less than 1,048,576 bytes");
        Require(options.WalGrace >= TimeSpan.Zero && options.WalGrace <= TimeSpan.FromHours(1), $"WalGrace: {options.WalGrace} is not in 0 to 1 h");
        Require(options.GuardInterval >= TimeSpan.FromMilliseconds(10) && options.GuardInterval <= TimeSpan.FromMinutes(1), $"GuardInterval: {options.GuardInterval} is not in 10 ms to 1 min");
        Require(options.HeartbeatInterval >= TimeSpan.Zero && options.HeartbeatInterval <= TimeSpan.FromHours(1), $"HeartbeatInterval: {options.HeartbeatInterval} is not in 0 to 1 h");
        Require(options.RetryMinimum >= TimeSpan.FromMilliseconds(10) && options.RetryMinimum <= options.RetryMaximum, $"RetryMinimum: {options.RetryMinimum} is not in 10 ms to RetryMaximum, {options.RetryMaximum}");
        Require(options.ShutdownTimeout >= TimeSpan.Zero && options.ShutdownTimeout <= TimeSpan.FromSeconds(20), $"ShutdownTimeout: {options.ShutdownTimeout.TotalSeconds} is not in 0 to 20 s");
        return problems;

        void Require(bool condition, string problem)
        {
            if (!condition)
            {
                problems.Add(problem);
            }
        }
    }

    private static string? Connects(string connectionString)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(connectionString) switch
            {
                { Host: null or "" } => "a host is missing",
                { Database: null or "", Username: null or "" } => "a database is missing",
                _ => null,
            };
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException)
        {
            return exception.Message;
        }
    }

    private static bool IsIdentifier(string name)
        => name.Length > 0 && System.Text.Encoding.UTF8.GetByteCount(name) <= MostNameBytes && !name.Contains('\0', StringComparison.Ordinal);

    [GeneratedRegex(@"^[a-z0-9_]{1,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SlotName();

    [GeneratedRegex(@"^[A-Za-z0-9_-]{1,255}\z", RegexOptions.CultureInvariant)]
    private static partial Regex StreamName();
}
