using System.Collections;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.Extensions.Primitives;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

/// <summary>Message headers. Names are compared without case; a published instance becomes read-only.</summary>
public class NatsHeaders : IDictionary<string, StringValues>
{
    private Dictionary<string, StringValues>? _store;
    private int _readOnly;

    public NatsHeaders()
    {
    }

    public NatsHeaders(Dictionary<string, StringValues>? store) => _store = store;

    public NatsHeaders(int capacity) => _store = new Dictionary<string, StringValues>(capacity, StringComparer.OrdinalIgnoreCase);

    /// <summary>What the status line said.</summary>
    public enum Messages
    {
        Text,
        IdleHeartbeat,
        BadRequest,
        ConsumerDeleted,
        ConsumerIsPushBased,
        NoMessages,
        RequestTimeout,
        MessageSizeExceedsMaxBytes,
        RequestsPending,
    }

    public int Version => 1;

    public int Code { get; internal set; }

    public string MessageText { get; internal set; } = string.Empty;

    public Messages Message { get; internal set; } = Messages.Text;

    public int Count => _store?.Count ?? 0;

    public bool IsReadOnly => Volatile.Read(ref _readOnly) == 1;

    public ICollection<string> Keys => _store is null ? [] : _store.Keys;

    public ICollection<StringValues> Values => _store is null ? [] : _store.Values;

    public NatsException? Error { get; internal set; }

    internal Activity? Activity { get; set; }

    public StringValues this[string key]
    {
        get => _store is not null && _store.TryGetValue(key, out var value) ? value : StringValues.Empty;
        set
        {
            ArgumentNullException.ThrowIfNull(key);
            ThrowIfReadOnly();
            Put(key, value);
        }
    }

    public void Add(KeyValuePair<string, StringValues> item)
    {
        if (item.Key is null)
        {
            throw new ArgumentException("The key is null");
        }

        Add(item.Key, item.Value);
    }

    public void Add(string key, StringValues value)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfReadOnly();
        Store().Add(key, value);
    }

    public void Clear()
    {
        ThrowIfReadOnly();
        _store?.Clear();
    }

    public bool Contains(KeyValuePair<string, StringValues> item) =>
        _store is not null && _store.TryGetValue(item.Key, out var value) && StringValues.Equals(value, item.Value);

    public bool ContainsKey(string key) => _store is not null && _store.ContainsKey(key);

    public void CopyTo(KeyValuePair<string, StringValues>[] array, int arrayIndex)
    {
        if (_store is not null)
        {
            ((ICollection<KeyValuePair<string, StringValues>>)_store).CopyTo(array, arrayIndex);
        }
    }

    public int GetBytesLength(Encoding? encoding = null) => HeaderWriter.Measure(this, encoding ?? Encoding.UTF8);

    public bool Remove(KeyValuePair<string, StringValues> item)
    {
        ThrowIfReadOnly();
        return Contains(item) && _store!.Remove(item.Key);
    }

    public bool Remove(string key)
    {
        ThrowIfReadOnly();
        return _store is not null && _store.Remove(key);
    }

    public bool TryGetValue(string key, out StringValues value)
    {
        if (_store is not null)
        {
            return _store.TryGetValue(key, out value);
        }

        value = default;
        return false;
    }

    public bool TryGetLastValue(string key, [NotNullWhen(returnValue: true)] out string? value)
    {
        if (_store is not null && _store.TryGetValue(key, out var values))
        {
            value = values[^1]!;
            return true;
        }

        value = null;
        return false;
    }

    public Enumerator GetEnumerator() => _store is null ? default : new Enumerator(_store.GetEnumerator());

    IEnumerator<KeyValuePair<string, StringValues>> IEnumerable<KeyValuePair<string, StringValues>>.GetEnumerator() => GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal void SetReadOnly() => Volatile.Write(ref _readOnly, 1);

    /// <summary>Trace headers are renewed on every publish, also of headers that were published before.</summary>
    internal void SetOverrideReadOnly(string key, StringValues value) => Put(key, value);

    private Dictionary<string, StringValues> Store() => _store ??= new Dictionary<string, StringValues>(1, StringComparer.OrdinalIgnoreCase);

    private void Put(string key, StringValues value)
    {
        if (value.Count == 0)
        {
            _store?.Remove(key);
        }
        else
        {
            Store()[key] = value;
        }
    }

    private void ThrowIfReadOnly()
    {
        if (IsReadOnly)
        {
            throw new InvalidOperationException("The response headers cannot be modified because the response has already started.");
        }
    }

    public struct Enumerator : IEnumerator<KeyValuePair<string, StringValues>>
    {
        private readonly bool _any;
        private Dictionary<string, StringValues>.Enumerator _inner;

        internal Enumerator(Dictionary<string, StringValues>.Enumerator inner)
        {
            _inner = inner;
            _any = true;
        }

        public KeyValuePair<string, StringValues> Current => _any ? _inner.Current : default;

        object IEnumerator.Current => Current;

        public bool MoveNext() => _any && _inner.MoveNext();

        public void Dispose()
        {
        }

        void IEnumerator.Reset()
        {
            if (_any)
            {
                ((IEnumerator)_inner).Reset();
            }
        }
    }
}
