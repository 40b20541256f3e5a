namespace RuleEngineNats.TestKit;

/// <summary>
/// How a path answers, as one line: <c>500x3,200</c> is three times 500 and from then on 200. <see cref="Syntax"/> is all of it.
/// </summary>
public sealed class ReceiverScript
{
    /// <summary>The syntax, for a help text.</summary>
    public const string Syntax = """
        A script is answers in turn, with commas between them; the last one stays. Text with , ; or a space at its end goes in "double quotes".

          200              a status, 200 to 599
          500x3            three times in turn
          302:URL          a redirect, 300 to 399
          delay:2s,200     waits before the answer that follows: ms, s or m, up to 10m
          drop             resets the connection without an answer
          cut              resets the connection in the middle of the body
          hang             never answers
          slow:100B/s      the body comes at this rate (1 KiB, or what body= says)
          drip:1B/s        the headers come at this rate and never end
          endless          a body that never ends
          bomb:1GiB        a gzip body of about a thousandth of this size that expands to it, up to 64GiB
          headers:100KiB   this much of headers, up to 1MiB

        Any of them but drop, hang and drip may have options, each after a semicolon:

          ;retry-after=7            seconds
          ;retry-after=date:60s     the HTTP date that is so far ahead when it answers
          ;body="text"              the body
          ;status=503               the status of cut, slow, endless, bomb and headers
          ;NAME=VALUE               any header, e.g. ;set-cookie="a=b; Path=/"
        """;

    private readonly ScriptStep[] _steps;
    private long _count;

    private ReceiverScript(string text, ScriptStep[] steps) => (Text, _steps) = (text, steps);

    public string Text { get; }

    public IReadOnlyList<ScriptStep> Steps => _steps;

    /// <exception cref="FormatException">The text is no script; the message has every problem.</exception>
    public static ReceiverScript Parse(string text)
    {
        var problems = new List<string>();
        return Read(text, problems) ?? throw new FormatException($"\"{text}\": {string.Join("; ", problems)}");
    }

    /// <summary>Null where the text is no script; the problems say why.</summary>
    public static ReceiverScript? Read(string text, ICollection<string> problems)
    {
        var before = problems.Count;
        var steps = new ScriptReader(problems).Read(text);
        return problems.Count == before ? new(text, [.. steps]) : null;
    }

    /// <summary>What is done with the next request.</summary>
    public ScriptStep Next()
    {
        var number = Interlocked.Increment(ref _count);
        foreach (var step in _steps)
        {
            if ((number -= step.Count) <= 0)
            {
                return step;
            }
        }

        return _steps[^1];
    }
}
