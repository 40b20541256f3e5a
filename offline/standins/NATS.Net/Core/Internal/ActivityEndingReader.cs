using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace NATS.Client.Core.Internal;

/// <summary>A message's receive span ends when the message is read.</summary>
internal sealed class ActivityEndingReader<T>(ChannelReader<T> inner) : ChannelReader<T>
    where T : struct, INatsMsg
{
    public override bool CanCount => inner.CanCount;

    public override bool CanPeek => inner.CanPeek;

    public override int Count => inner.Count;

    public override Task Completion => inner.Completion;

    public override bool TryRead(out T item)
    {
        if (!inner.TryRead(out item))
        {
            return false;
        }

        End(item.Headers?.Activity);
        return true;
    }

    public override bool TryPeek([MaybeNullWhen(false)] out T item) => inner.TryPeek(out item);

    public override ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default) => inner.WaitToReadAsync(cancellationToken);

    public override ValueTask<T> ReadAsync(CancellationToken cancellationToken = default)
    {
        var read = inner.ReadAsync(cancellationToken);
        return Telemetry.HasListeners() ? EndAsync(read) : read;
    }

    private static async ValueTask<T> EndAsync(ValueTask<T> read)
    {
        var item = await read.ConfigureAwait(false);
        End(item.Headers?.Activity);
        return item;
    }

    // Stopping an activity also sets the current one, which here is the reader's own.
    private static void End(Activity? activity)
    {
        if (activity is not null)
        {
            var current = Activity.Current;
            activity.Dispose();
            Activity.Current = current;
        }
    }
}
