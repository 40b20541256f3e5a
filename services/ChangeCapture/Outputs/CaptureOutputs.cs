using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Formats;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>All places that events go to.</summary>
internal sealed class CaptureOutputs(CaptureOptions options, CaptureStatus status, ILoggerFactory loggers, TimeProvider time) : IAsyncDisposable
{
    private readonly List<ChangeOutput> _all = [];
    private DeadLetters? _deadLetters;

    public IReadOnlyList<ChangeOutput> All => _all;

    public void Open()
    {
        var formats = new FormatSet(options, time);
        if (options.Oversized is OversizedPolicy.DeadLetter)
        {
            var file = options.DeadLetterFile is { } path ? LineOutput.ToFile(nameof(options.DeadLetterFile), path, formats.Events) : null;
            _deadLetters = new(options, formats.Replacements, file, loggers.CreateLogger<DeadLetters>());
        }

        // NATS first: what is on standard output is on its way there.
        var parts = options.Per is EventUnit.Transaction;
        foreach (var servers in options.NatsServers)
        {
            var connection = new JetStreamConnection(servers, options, time, loggers);
            Add(new JetStreamOutput(connection, options, parts ? formats.Parts : formats.Events, parts ? null : _deadLetters, status, time, loggers.CreateLogger<JetStreamOutput>()), _deadLetters);
        }

        // Lines for people show where a transaction begins and ends.
        parts &= options.Format is not OutputFormat.Text;
        if (options.File is { } written)
        {
            Add(LineOutput.ToFile(nameof(options.File), written, parts ? formats.LineParts : formats.Lines), null);
        }

        if (options.StandardOutput)
        {
            Add(LineOutput.ToStandardOutput(parts ? formats.LineParts : formats.Lines), null);
        }

        void Add(ChangeOutput output, DeadLetters? deadLetters)
            => _all.Add(parts ? new TransactionParts(output, formats.Changes, deadLetters, options, () => _all.Min(output => output.LargestBody)) : output);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var output in _all)
        {
            await output.DisposeAsync();
        }

        if (_deadLetters is not null)
        {
            await _deadLetters.DisposeAsync();
        }
    }
}
