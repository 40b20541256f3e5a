using System.Buffers;

namespace NATS.Client.Core;

/// <summary>Both directions of one message type, chainable.</summary>
public interface INatsSerializer<T> : INatsSerialize<T>, INatsDeserialize<T>
{
    INatsSerializer<T> CombineWith(INatsSerializer<T> next);
}

public interface INatsSerialize<in T>
{
    void Serialize(IBufferWriter<byte> bufferWriter, T value);
}

public interface INatsDeserialize<out T>
{
    T? Deserialize(in ReadOnlySequence<byte> buffer);
}

public interface INatsSerializerRegistry
{
    INatsSerialize<T> GetSerializer<T>();

    INatsDeserialize<T> GetDeserializer<T>();
}

public static class NatsDefaultSerializer<T>
{
    public static readonly INatsSerializer<T> Default = NatsRawSerializer<T>.Default;
}

public class NatsDefaultSerializerRegistry : INatsSerializerRegistry
{
    public static readonly NatsDefaultSerializerRegistry Default = new();

    public INatsSerialize<T> GetSerializer<T>() => NatsDefaultSerializer<T>.Default;

    public INatsDeserialize<T> GetDeserializer<T>() => NatsDefaultSerializer<T>.Default;
}

/// <summary>Chains serializers: the first that knows the type answers.</summary>
public class NatsSerializerBuilder<T>
{
    private readonly List<INatsSerializer<T>> _chain = [];

    public NatsSerializerBuilder<T> Add(INatsSerializer<T> serializer)
    {
        _chain.Add(serializer);
        return this;
    }

    public INatsSerializer<T> Build()
    {
        if (_chain.Count == 0)
        {
            return NatsDefaultSerializer<T>.Default;
        }

        var last = _chain[^1];
        for (var i = _chain.Count - 2; i >= 0; i--)
        {
            last = _chain[i].CombineWith(last);
        }

        return last;
    }
}
