using System.Buffers;

namespace NATS.Client.Core;

public enum NatsMemoryOwnerAllocationMode
{
    Default,
    Clear,
}

/// <summary>A payload in a pooled array; disposing gives the array back.</summary>
public struct NatsMemoryOwner<T> : IMemoryOwner<T>
{
    private readonly int _start;
    private readonly int _length;
    private readonly ArrayPool<T> _pool;
    private T[]? _array;

    private NatsMemoryOwner(int start, int length, ArrayPool<T> pool, T[] array)
    {
        _start = start;
        _length = length;
        _pool = pool;
        _array = array;
    }

    public static NatsMemoryOwner<T> Empty => Allocate(0);

    public readonly int Length => _length;

    public readonly Memory<T> Memory => _array is null ? Memory<T>.Empty : new Memory<T>(_array, _start, _length);

    public readonly Span<T> Span => _array is null ? default : new Span<T>(_array, _start, _length);

    public static NatsMemoryOwner<T> Allocate(int size) => Allocate(size, ArrayPool<T>.Shared, NatsMemoryOwnerAllocationMode.Default);

    public static NatsMemoryOwner<T> Allocate(int size, ArrayPool<T> pool) => Allocate(size, pool, NatsMemoryOwnerAllocationMode.Default);

    public static NatsMemoryOwner<T> Allocate(int size, NatsMemoryOwnerAllocationMode mode) => Allocate(size, ArrayPool<T>.Shared, mode);

    public static NatsMemoryOwner<T> Allocate(int size, ArrayPool<T> pool, NatsMemoryOwnerAllocationMode mode)
    {
        var array = pool.Rent(size);
        if (mode == NatsMemoryOwnerAllocationMode.Clear)
        {
            array.AsSpan(0, size).Clear();
        }

        return new NatsMemoryOwner<T>(0, size, pool, array);
    }

    public readonly ref T DangerousGetReference() => ref Live()[_start];

    public readonly ArraySegment<T> DangerousGetArray() => new(Live(), _start, _length);

    public NatsMemoryOwner<T> Slice(int start, int length)
    {
        var array = Live();
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)start, (uint)_length, nameof(start));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)(_length - start), nameof(length));

        // The slice takes the array over, so that it is returned once.
        _array = null;
        return new NatsMemoryOwner<T>(_start + start, length, _pool, array);
    }

    public void Dispose()
    {
        if (_array is { } array)
        {
            _array = null;
            _pool.Return(array);
        }
    }

    public override readonly string ToString() =>
        typeof(T) == typeof(char) && _array is char[] chars
            ? new string(chars, _start, _length)
            : $"NATS.Client.Core.NatsMemoryOwner<{typeof(T)}>[{_length}]";

    private readonly T[] Live() =>
        _array ?? throw new ObjectDisposedException(nameof(NatsMemoryOwner<T>), "The current buffer has already been disposed");
}
