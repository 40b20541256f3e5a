using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public sealed class NatsJsonContextSerializerRegistry : INatsSerializerRegistry
{
    private readonly JsonSerializerContext[] _contexts;

    public NatsJsonContextSerializerRegistry(params JsonSerializerContext[] contexts) => _contexts = contexts;

    public INatsSerialize<T> GetSerializer<T>() => new NatsJsonContextSerializer<T>(_contexts);

    public INatsDeserialize<T> GetDeserializer<T>() => new NatsJsonContextSerializer<T>(_contexts);
}

/// <summary>JSON by source-generated contexts: the first that knows the type is used.</summary>
public sealed class NatsJsonContextSerializer<T> : INatsSerializer<T>
{
    private readonly JsonSerializerContext[] _contexts;
    private readonly INatsSerializer<T>? _next;

    public NatsJsonContextSerializer(JsonSerializerContext[] contexts, INatsSerializer<T>? next = default)
    {
        _contexts = contexts;
        _next = next;
    }

    public NatsJsonContextSerializer(JsonSerializerContext context, INatsSerializer<T>? next = default)
        : this([context], next)
    {
    }

    public INatsSerializer<T> CombineWith(INatsSerializer<T> next) => new NatsJsonContextSerializer<T>(_contexts, next);

    public void Serialize(IBufferWriter<byte> bufferWriter, T value)
    {
        if (Find() is { } info)
        {
            using var json = new JsonWriterLease(bufferWriter);
            JsonSerializer.Serialize(json.Writer, value, info);
            return;
        }

        if (_next is null)
        {
            throw new NatsException($"Can't serialize {typeof(T)}");
        }

        _next.Serialize(bufferWriter, value);
    }

    public T? Deserialize(in ReadOnlySequence<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return default;
        }

        if (Find() is { } info)
        {
            var reader = new Utf8JsonReader(buffer);
            return JsonSerializer.Deserialize(ref reader, info);
        }

        return _next is null ? throw new NatsException($"Can't deserialize {typeof(T)}") : _next.Deserialize(buffer);
    }

    private JsonTypeInfo<T>? Find()
    {
        foreach (var context in _contexts)
        {
            if (context.GetTypeInfo(typeof(T)) is JsonTypeInfo<T> info)
            {
                return info;
            }
        }

        return null;
    }
}
