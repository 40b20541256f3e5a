using System.Buffers;
using System.Text.Json;

namespace NATS.Client.Core.Internal;

/// <summary>One Utf8JsonWriter per thread, so that a publish of JSON allocates none.</summary>
internal readonly struct JsonWriterLease : IDisposable
{
    private static readonly JsonWriterOptions Options = new() { Indented = false, SkipValidation = true };

    [ThreadStatic]
    private static Utf8JsonWriter? _cached;

    public JsonWriterLease(IBufferWriter<byte> target)
    {
        if (_cached is { } writer)
        {
            _cached = null;
            writer.Reset(target);
            Writer = writer;
        }
        else
        {
            Writer = new Utf8JsonWriter(target, Options);
        }
    }

    public Utf8JsonWriter Writer { get; }

    public void Dispose()
    {
        Writer.Flush();
        Writer.Reset(Stream.Null);
        _cached = Writer;
    }
}
