using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace RuleEngineNats.IngestionApi.Limits;

/// <summary>
/// Requests a second for each client: a bucket that holds one second's worth, as the time at which it will be full again (the generic cell rate algorithm). One compare-and-swap a request,
/// and no timer.
/// </summary>
internal sealed class ClientRates(IOptions<IngestionOptions> options, TimeProvider time)
{
    // A bucket that is full says nothing; beyond this many those are forgotten, and what is left of a flood shares one.
    private const int MostBuckets = 20_000;
    private const int Ipv6Network = 8;

    private static readonly object Flood = new();

    private readonly ConcurrentDictionary<object, Bucket> _buckets = new();
    private readonly double _rate = options.Value.RequestsPerSecond;
    private readonly Dictionary<string, double> _byKey = options.Value.RequestsPerSecondByKey;
    private readonly bool _isOff = options.Value.RequestsPerSecond == 0 && options.Value.RequestsPerSecondByKey.Count == 0;
    private long _sweptAt;

    /// <summary>Takes one request of a client's.</summary>
    /// <param name="client">The hash of its key; empty for none.</param>
    /// <param name="address">Where it comes from.</param>
    /// <returns>0, or the seconds until there is one again.</returns>
    public int Take(string client, IPAddress? address)
    {
        if (_isOff)
        {
            return 0;
        }

        var known = _byKey.TryGetValue(client, out var own);
        var rate = known ? own : _rate;
        object bucket = known || (client.Length > 0 && _byKey.Count == 0) ? client : Network(address);
        return rate == 0 ? 0 : Find(bucket).Take(time, rate);
    }

    private Bucket Find(object client)
    {
        if (_buckets.TryGetValue(client, out var bucket))
        {
            return bucket;
        }

        if (_buckets.Count >= MostBuckets)
        {
            Sweep();
        }

        return _buckets.GetOrAdd(_buckets.Count < MostBuckets ? client : Flood, static _ => new());
    }

    private void Sweep()
    {
        var (now, last) = (time.GetTimestamp(), Volatile.Read(ref _sweptAt));
        if (now - last < time.TimestampFrequency || Interlocked.CompareExchange(ref _sweptAt, now, last) != last)
        {
            return;
        }

        foreach (var (client, bucket) in _buckets)
        {
            if (bucket.IsFull(now))
            {
                _buckets.TryRemove(client, out _);
            }
        }
    }

    // A client has a whole /64 of IPv6 to itself.
    private static IPAddress Network(IPAddress? address)
    {
        if (address is not { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false })
        {
            return address ?? IPAddress.None;
        }

        var bytes = address.GetAddressBytes();
        bytes.AsSpan(Ipv6Network).Clear();
        return new IPAddress(bytes);
    }

    private sealed class Bucket
    {
        private long _fullAt;

        public bool IsFull(long now) => Volatile.Read(ref _fullAt) <= now;

        public int Take(TimeProvider time, double rate)
        {
            var cost = (long)(time.TimestampFrequency / rate);
            while (true)
            {
                var (now, before) = (time.GetTimestamp(), Volatile.Read(ref _fullAt));
                var after = Math.Max(before, now) + cost;
                var excess = after - now - Math.Max(time.TimestampFrequency, cost);
                if (excess > 0)
                {
                    return (int)Math.Clamp(Math.Ceiling((double)excess / time.TimestampFrequency), 1, 3600);
                }

                if (Interlocked.CompareExchange(ref _fullAt, after, before) == before)
                {
                    return 0;
                }
            }
        }
    }
}
