using System.Buffers;

namespace NATS.Client.Core;

/// <summary>A growing buffer over a pool.</summary>
public sealed class NatsBufferWriter<T> : IBufferWriter<T>, IMemoryOwner<T>
{
    private const int InitialSize = 256;

    private readonly ArrayPool<T> _pool;
    private T[]? _array;
    private int _index;

    public NatsBufferWriter()
        : this(ArrayPool<T>.Shared, InitialSize)
    {
    }

    public NatsBufferWriter(ArrayPool<T> pool)
        : this(pool, InitialSize)
    {
    }

    public NatsBufferWriter(int initialCapacity)
        : this(ArrayPool<T>.Shared, initialCapacity)
    {
    }

    public NatsBufferWriter(ArrayPool<T> pool, int initialCapacity)
    {
        _pool = pool;
        _array = pool.Rent(initialCapacity);
    }

    Memory<T> IMemoryOwner<T>.Memory => Live().AsMemory(0, _index);

    public ReadOnlyMemory<T> WrittenMemory => Live().AsMemory(0, _index);

    public ReadOnlySpan<T> WrittenSpan => Live().AsSpan(0, _index);

    public int WrittenCount => _index;

    public int Capacity => Live().Length;

    public int FreeCapacity => Live().Length - _index;

    public void Clear()
    {
        Live().AsSpan(0, _index).Clear();
        _index = 0;
    }

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (_index > Live().Length - count)
        {
            throw new ArgumentException("The buffer writer has advanced too far");
        }

        _index += count;
    }

    public Memory<T> GetMemory(int sizeHint = 0) => Grow(sizeHint).AsMemory(_index);

    public Span<T> GetSpan(int sizeHint = 0) => Grow(sizeHint).AsSpan(_index);

    public ArraySegment<T> DangerousGetArray() => new(Live(), 0, _index);

    public void Dispose()
    {
        if (_array is { } array)
        {
            _array = null;
            _pool.Return(array);
        }
    }

    public override string ToString() =>
        typeof(T) == typeof(char) && _array is char[] chars
            ? new string(chars, 0, _index)
            : $"NATS.Client.Core.NatsBufferWriter<{typeof(T)}>[{_index}]";

    /// <summary>Forgets what was written, without clearing it.</summary>
    internal void Reset() => _index = 0;

    private T[] Grow(int sizeHint)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        var array = Live();
        var needed = _index + Math.Max(sizeHint, 1);
        if (needed <= array.Length)
        {
            return array;
        }

        var bigger = _pool.Rent(Math.Max(needed, array.Length * 2));
        array.AsSpan(0, _index).CopyTo(bigger);
        _pool.Return(array);
        return _array = bigger;
    }

    private T[] Live() => _array ?? throw new ObjectDisposedException("The current buffer has already been disposed");
}
