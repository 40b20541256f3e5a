using System.Buffers;

namespace NATS.Client.Core;

/// <summary>Byte-shaped types as they are; anything else goes to the next serializer.</summary>
public class NatsRawSerializer<T> : INatsSerializer<T>
{
    public static readonly NatsRawSerializer<T> Default = new(NatsUtf8PrimitivesSerializer<T>.Default);

    private readonly INatsSerializer<T>? _next;

    public NatsRawSerializer(INatsSerializer<T>? next = default) => _next = next;

    public INatsSerializer<T> CombineWith(INatsSerializer<T>? next) => new NatsRawSerializer<T>(next);

    public void Serialize(IBufferWriter<byte> bufferWriter, T value)
    {
        switch (value)
        {
            case byte[] bytes:
                bufferWriter.Write(bytes);
                return;
            case ReadOnlyMemory<byte> memory:
                bufferWriter.Write(memory.Span);
                return;
            case Memory<byte> memory:
                bufferWriter.Write(memory.Span);
                return;
            case ReadOnlySequence<byte> sequence:
                foreach (var part in sequence)
                {
                    bufferWriter.Write(part.Span);
                }

                return;
            case IMemoryOwner<byte> owner:
                // The serializer takes ownership: the buffer goes back to its pool once it is written.
                using (owner)
                {
                    bufferWriter.Write(owner.Memory.Span);
                }

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
        if (typeof(T) == typeof(byte[]))
        {
            return buffer.IsEmpty ? default : (T)(object)buffer.ToArray();
        }

        if (typeof(T) == typeof(ReadOnlyMemory<byte>))
        {
            return buffer.IsEmpty ? default : (T)(object)new ReadOnlyMemory<byte>(buffer.ToArray());
        }

        if (typeof(T) == typeof(Memory<byte>))
        {
            return buffer.IsEmpty ? default : (T)(object)new Memory<byte>(buffer.ToArray());
        }

        if (typeof(T) == typeof(ReadOnlySequence<byte>))
        {
            return buffer.IsEmpty ? default : (T)(object)new ReadOnlySequence<byte>(buffer.ToArray());
        }

        if (typeof(T) == typeof(NatsMemoryOwner<byte>) || typeof(T) == typeof(IMemoryOwner<byte>))
        {
            if (buffer.IsEmpty)
            {
                return default;
            }

            var owner = NatsMemoryOwner<byte>.Allocate((int)buffer.Length);
            buffer.CopyTo(owner.Memory.Span);
            return (T)(object)owner;
        }

        return _next is null ? throw new NatsException($"Can't deserialize {typeof(T)}") : _next.Deserialize(buffer);
    }
}
