using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace NATS.Client.Core.Internal;

/// <summary>Every subscription of a connection by its id, and which commands bring them back after a reconnect.</summary>
internal sealed class Subscriptions(NatsConnection connection) : INatsSubscriptionManager
{
    private readonly ConcurrentDictionary<int, NatsSubBase> _bySid = new();
    private readonly ConcurrentDictionary<NatsSubBase, int> _bySub = new(ReferenceEqualityComparer.Instance);
    private int _lastSid;

    public bool TryGet(int sid, out NatsSubBase? sub) => _bySid.TryGetValue(sid, out sub);

    public int Register(NatsSubBase sub)
    {
        var sid = Interlocked.Increment(ref _lastSid);
        _bySid[sid] = sub;
        _bySub[sub] = sid;
        return sid;
    }

    public ValueTask RemoveAsync(NatsSubBase sub)
    {
        if (_bySub.TryRemove(sub, out var sid))
        {
            _bySid.TryRemove(sid, out _);
            connection.SendUnsubscribe(sid);
        }

        return default;
    }

    /// <summary>UNSUB now, but keep routing until the returned action is called.</summary>
    public Func<ValueTask> BeginDrain(NatsSubBase sub)
    {
        if (!_bySub.TryRemove(sub, out var sid))
        {
            return static () => default;
        }

        connection.SendUnsubscribe(sid);
        return () =>
        {
            _bySid.TryRemove(sid, out _);
            return default;
        };
    }

    public void WriteReconnectCommands(ReconnectCommands commands)
    {
        foreach (var (sid, sub) in _bySid)
        {
            sub.WriteReconnectCommands(commands, sid);
        }
    }

    public NatsSubBase[] All() => [.. _bySid.Values];
}

/// <summary>Commands that go out right after CONNECT, before anything else.</summary>
internal sealed class ReconnectCommands(Encoding subjects)
{
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);

    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    public void Append(ReadOnlySpan<byte> bytes) => _buffer.Write(bytes);

    public void Subscribe(int sid, string subject, string? queueGroup, int? maxMsgs) =>
        _buffer.Advance(Outbox.WriteSubscribe(_buffer.GetSpan((subject.Length + (queueGroup?.Length ?? 0)) * 4 + 80), sid, subject, queueGroup, maxMsgs, subjects));

    public void Publish<T>(string subject, string replyTo, T data, INatsSerialize<T> serializer)
    {
        var payload = new ArrayBufferWriter<byte>();
        serializer.Serialize(payload, data);
        _buffer.Write(subjects.GetBytes($"PUB {subject} {replyTo} {payload.WrittenCount}\r\n"));
        _buffer.Write(payload.WrittenSpan);
        _buffer.Write("\r\n"u8);
    }
}

/// <summary>
/// Answers: one wildcard subscription for the whole connection. An answer to a plain request has a number after the
/// prefix and goes to its waiting slot; anything else goes to whoever registered for that subject.
/// </summary>
internal sealed class Inbox : INatsSubscriptionManager
{
    private readonly NatsConnection _connection;
    private readonly byte[] _prefix;
    private readonly string _prefixText;
    private readonly ConcurrentDictionary<long, IReplySlot> _slots = new();
    private readonly Dictionary<string, List<NatsSubBase>> _subs = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _subscribing = new(1, 1);
    private volatile int _sid;
    private long _lastId;

    public Inbox(NatsConnection connection, string prefix)
    {
        _connection = connection;
        _prefixText = prefix + ".";
        _prefix = Encoding.UTF8.GetBytes(_prefixText);
    }

    public int Sid => _sid;

    public ValueTask EnsureAsync(CancellationToken cancellationToken) => _sid != 0 ? default : SubscribeAsync(cancellationToken);

    public string Add(IReplySlot slot, out long id)
    {
        id = Interlocked.Increment(ref _lastId);
        _slots[id] = slot;
        return string.Concat(_prefixText, id.ToString());
    }

    /// <summary>The connection is closed for good.</summary>
    public void FailAll()
    {
        foreach (var id in _slots.Keys)
        {
            if (_slots.TryRemove(id, out var slot))
            {
                slot.Fail();
            }
        }
    }

    /// <summary>True for the one caller that may complete the slot.</summary>
    public bool TryRemove(long id) => _slots.TryRemove(id, out _);

    public async ValueTask RegisterAsync(NatsSubBase sub, CancellationToken cancellationToken)
    {
        if (sub.QueueGroup is not null)
        {
            throw new NatsException("Inbox subscriptions don't support queue groups");
        }

        await EnsureAsync(cancellationToken).ConfigureAwait(false);
        lock (_subs)
        {
            if (!_subs.TryGetValue(sub.Subject, out var list))
            {
                _subs[sub.Subject] = list = new List<NatsSubBase>(1);
            }

            list.Add(sub);
        }

        await sub.ReadyAsync().ConfigureAwait(false);
    }

    public ValueTask RemoveAsync(NatsSubBase sub)
    {
        lock (_subs)
        {
            if (_subs.TryGetValue(sub.Subject, out var list) && list.Remove(sub) && list.Count == 0)
            {
                _subs.Remove(sub.Subject);
            }
        }

        return default;
    }

    public ValueTask ReceiveAsync(ReadOnlySpan<byte> subject, ReadOnlySpan<byte> replyTo, in ReadOnlySequence<byte>? headers, in ReadOnlySequence<byte> payload)
    {
        if (subject.StartsWith(_prefix)
            && System.Buffers.Text.Utf8Parser.TryParse(subject[_prefix.Length..], out long id, out var used)
            && used == subject.Length - _prefix.Length)
        {
            if (_slots.TryRemove(id, out var slot))
            {
                slot.Complete(Encoding.UTF8.GetString(subject), replyTo.IsEmpty ? null : Encoding.UTF8.GetString(replyTo), headers, payload);
            }

            return default;
        }

        var subjectText = Encoding.UTF8.GetString(subject);
        NatsSubBase[] targets;
        lock (_subs)
        {
            if (!_subs.TryGetValue(subjectText, out var list))
            {
                return default;
            }

            if (list.Count == 1)
            {
                var only = list[0];
                targets = [only];
            }
            else
            {
                targets = [.. list];
            }
        }

        var replyText = replyTo.IsEmpty ? null : Encoding.UTF8.GetString(replyTo);
        return targets.Length == 1
            ? targets[0].ReceiveAsync(subjectText, replyText, headers, payload)
            : ReceiveAllAsync(targets, subjectText, replyText, headers, payload);
    }

    private static async ValueTask ReceiveAllAsync(NatsSubBase[] targets, string subject, string? replyTo, ReadOnlySequence<byte>? headers, ReadOnlySequence<byte> payload)
    {
        foreach (var target in targets)
        {
            await target.ReceiveAsync(subject, replyTo, headers, payload).ConfigureAwait(false);
        }
    }

    private async ValueTask SubscribeAsync(CancellationToken cancellationToken)
    {
        await _subscribing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_sid == 0)
            {
                _sid = _connection.SubscribeNow(new WildcardSub(_connection, _prefixText + "*"));
            }
        }
        finally
        {
            _subscribing.Release();
        }
    }

    // Stands in the table for the wildcard; its messages are routed above.
    private sealed class WildcardSub(NatsConnection connection, string subject)
        : NatsSubBase(connection, connection.SubscriptionManager, subject, queueGroup: null, opts: null)
    {
        protected override ValueTask ReceiveInternalAsync(string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer) => default;

        protected override void TryComplete()
        {
        }
    }
}
