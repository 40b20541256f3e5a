using System.Buffers;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.Core.Internal;

namespace NATS.Client.Serializers.Json;

/// <summary>JSON by reflection, for callers without a source-generated context.</summary>
public sealed class NatsJsonSerializer<T> : INatsSerializer<T>
{
    private readonly JsonSerializerOptions _opts;

    public NatsJsonSerializer()
        : this(JsonSerializerOptions.Default)
    {
    }

    public NatsJsonSerializer(JsonSerializerOptions opts) => _opts = opts;

    public static NatsJsonSerializer<T> Default { get; } = new();

    public INatsSerializer<T> CombineWith(INatsSerializer<T> next) => throw new NotSupportedException();

    public void Serialize(IBufferWriter<byte> bufferWriter, T? value)
    {
        using var json = new JsonWriterLease(bufferWriter);
        JsonSerializer.Serialize(json.Writer, value, _opts);
    }

    public T? Deserialize(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return default;
        }

        var reader = new Utf8JsonReader(buffer);
        return JsonSerializer.Deserialize<T>(ref reader, _opts);
    }
}

public sealed class NatsJsonSerializerRegistry : INatsSerializerRegistry
{
    public static readonly NatsJsonSerializerRegistry Default = new();

    public INatsSerialize<T> GetSerializer<T>() => NatsJsonSerializer<T>.Default;

    public INatsDeserialize<T> GetDeserializer<T>() => NatsJsonSerializer<T>.Default;
}

public class NatsJsonContextOptionsSerializerRegistry(JsonSerializerOptions options) : INatsSerializerRegistry
{
    public INatsSerialize<T> GetSerializer<T>() => new NatsJsonOptionsSerializer<T>(options);

    public INatsDeserialize<T> GetDeserializer<T>() => new NatsJsonOptionsSerializer<T>(options);
}

public class NatsJsonOptionsSerializer<T>(JsonSerializerOptions options) : INatsSerializer<T>
{
    private readonly NatsJsonSerializer<T> _inner = new(options);

    public void Serialize(IBufferWriter<byte> bufferWriter, T value) => _inner.Serialize(bufferWriter, value);

    public T? Deserialize(in ReadOnlySequence<byte> buffer) => _inner.Deserialize(buffer);

    public INatsSerializer<T> CombineWith(INatsSerializer<T> next) => throw new NotSupportedException();
}
