using System.Security.Cryptography;

namespace NATS.Client.Core;

/// <summary>Unique ids of 22 characters: 12 random, then a counter of 10 that starts and steps at random.</summary>
public sealed class Nuid
{
    private const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int PrefixLength = 12;
    private const int CounterLength = 10;
    private const long Max = 839299365868340224; // 62^10

    [ThreadStatic]
    private static Nuid? _current;

    private readonly char[] _prefix = new char[PrefixLength];
    private readonly long _step;
    private long _counter;

    private Nuid()
    {
        RandomNumberGenerator.GetItems(Digits, _prefix);
        _step = RandomNumberGenerator.GetInt32(33, 333);
        _counter = Random.Shared.NextInt64(Max);
    }

    public static string NewNuid()
    {
        var nuid = _current;
        if (nuid is null || nuid._counter + nuid._step >= Max)
        {
            _current = nuid = new Nuid();
        }

        nuid._counter += nuid._step;
        return string.Create(PrefixLength + CounterLength, nuid, static (span, n) =>
        {
            n._prefix.CopyTo(span);
            var value = n._counter;
            for (var i = span.Length - 1; i >= PrefixLength; i--)
            {
                span[i] = Digits[(int)(value % 62)];
                value /= 62;
            }
        });
    }
}
