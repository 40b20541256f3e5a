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
        foreach (var servers in options.NatsServers)
        {
            _all.Add(new JetStreamOutput(new(servers, options, time, loggers), options, formats.Events, _deadLetters, status, time, loggers.CreateLogger<JetStreamOutput>()));
        }

        if (options.File is { } written)
        {
            _all.Add(LineOutput.ToFile(nameof(options.File), written, formats.Lines));
        }

        if (options.StandardOutput)
        {
            _all.Add(LineOutput.ToStandardOutput(formats.Lines));
        }
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
