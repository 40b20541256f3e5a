using System.Globalization;
using System.Text.RegularExpressions;

namespace RuleEngineNats.TestKit;

/// <summary>Reads <see cref="ReceiverScript.Syntax"/>, and says all that is wrong with it at once.</summary>
internal sealed partial class ScriptReader(ICollection<string> problems)
{
    private const int MostCharacters = 4096;
    private const int MostCount = 1_000_000;
    private const long MostBomb = 64L << 30;
    private const long MostHeaders = 1L << 20;

    private static readonly TimeSpan LongestDelay = TimeSpan.FromMinutes(10);

    public IReadOnlyList<ScriptStep> Read(string text)
    {
        var steps = new List<ScriptStep>();
        if (text.Length > MostCharacters)
        {
            problems.Add($"{text.Length} characters are more than {MostCharacters}; shorten it");
            return steps;
        }

        TimeSpan? delay = null;
        foreach (var item in Split(text, ','))
        {
            var parts = Split(item, ';');
            var (word, argument) = Cut(parts[0], ':');
            if (word == "delay")
            {
                delay = ReadDelay(parts, argument);
            }
            else if (ReadStep(parts, word, argument) is { } step)
            {
                steps.Add(step with { Delay = delay ?? default });
                delay = null;
            }
        }

        if (delay is not null)
        {
            problems.Add("delay: no answer follows; write one after it, e.g. delay:2s,200");
        }

        return steps;
    }

    private TimeSpan ReadDelay(List<string> parts, string? argument)
    {
        if (parts.Count > 1)
        {
            problems.Add($"delay: options such as \"{parts[1]}\" belong to the answer after it");
        }

        if (ScriptUnits.TryTime(argument ?? "", out var delay) && delay <= LongestDelay)
        {
            return delay;
        }

        problems.Add($"delay: \"{argument}\" is no time up to 10m; write e.g. delay:500ms or delay:29s");
        return default;
    }

    private ScriptStep? ReadStep(List<string> parts, string word, string? argument)
    {
        var match = Word().Match(word);
        if (word.Length == 0)
        {
            problems.Add("an answer is empty; write a status such as 200, and no comma at the end");
        }
        else if (!match.Success || ReadAction(match.Groups["word"].Value, parts[0], argument) is not { } step)
        {
            problems.Add(
                $"\"{word}\" is no answer; write a status from 200 to 599, or one of delay:, drop, cut, hang, slow:, drip:, endless, bomb:, headers:, with x and a count behind it if need be");
        }
        else
        {
            step = step with { Count = ReadCount(match.Groups["count"].Value) };
            foreach (var option in parts.Skip(1))
            {
                step = ReadOption(step, option);
            }

            var hasBody = step.Body.Length > 0 || step.Action is ScriptAction.Cut or ScriptAction.Slow or ScriptAction.Endless or ScriptAction.Bomb;
            if (hasBody && step.Status is (204 or 205 or 304))
            {
                problems.Add($"{step.Text}: an answer with status {step.Status} has no body; take another status");
            }

            return step;
        }

        return null;
    }

    private int ReadCount(string text)
    {
        if (text.Length == 0)
        {
            return 1;
        }

        if (int.Parse(text, CultureInfo.InvariantCulture) is var count and >= 1 and <= MostCount)
        {
            return count;
        }

        problems.Add($"x{text}: a count is 1 to {MostCount}");
        return 1;
    }

    // Null where there is no such action; what is wrong with its argument is a problem already.
    private ScriptStep? ReadAction(string word, string text, string? argument)
    {
        var action = word switch
        {
            "drop" => ScriptAction.Drop,
            "cut" => ScriptAction.Cut,
            "hang" => ScriptAction.Hang,
            "slow" => ScriptAction.Slow,
            "drip" => ScriptAction.Drip,
            "endless" => ScriptAction.Endless,
            "bomb" => ScriptAction.Bomb,
            "headers" => ScriptAction.Headers,
            _ => ScriptAction.Answer,
        };
        if (action is ScriptAction.Answer)
        {
            return int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 200 and <= 599
                ? ReadStatus(new(action, text) { Status = status }, argument)
                : null;
        }

        return new(action, text)
        {
            Size = action switch
            {
                ScriptAction.Slow or ScriptAction.Drip => ReadRate(word, argument),
                ScriptAction.Bomb => ReadSize(word, argument, MostBomb, "64GiB"),
                ScriptAction.Headers => ReadSize(word, argument, MostHeaders, "1MiB"),
                _ => RefuseArgument(word, argument),
            },
        };
    }

    private ScriptStep ReadStatus(ScriptStep step, string? location)
    {
        if (location is null)
        {
            return step;
        }

        if (step.Status is < 300 or > 399)
        {
            problems.Add($"{step.Status}:{location}: only a status from 300 to 399 has an address; leave it out, or write 302:{location}");
        }

        return AddHeader(step, "Location", Unquote(location));
    }

    private long RefuseArgument(string word, string? argument)
    {
        if (argument is not null)
        {
            problems.Add($"{word}: it has no argument; leave \":{argument}\" out");
        }

        return 0;
    }

    private long ReadRate(string word, string? argument)
    {
        if (argument?.EndsWith("/s", StringComparison.Ordinal) == true && ScriptUnits.TrySize(argument[..^2], out var rate) && rate is >= 1 and <= 1L << 30)
        {
            return rate;
        }

        problems.Add($"{word}: \"{argument}\" is no rate from 1B/s to 1GiB/s; write e.g. {word}:1B/s");
        return 1;
    }

    private long ReadSize(string word, string? argument, long most, string mostText)
    {
        if (ScriptUnits.TrySize(argument ?? "", out var size) && size >= 1 && size <= most)
        {
            return size;
        }

        problems.Add($"{word}: \"{argument}\" is no size from 1B to {mostText}; write e.g. {word}:100KiB (B, KiB, MiB, GiB)");
        return 1;
    }

    private ScriptStep ReadOption(ScriptStep step, string option)
    {
        var (name, quoted) = Cut(option, '=');
        if (quoted is null)
        {
            problems.Add($"\"{option}\" is no option; write ;NAME=VALUE, for instance ;retry-after=7");
            return step;
        }

        if (step.Action is ScriptAction.Drop or ScriptAction.Hang or ScriptAction.Drip)
        {
            problems.Add($"{name}: {step.Text} never gets so far as to have it; leave it out");
            return step;
        }

        var value = Unquote(quoted);
        switch (name.ToLowerInvariant())
        {
            case "body":
                return step with { Body = value };
            case "status" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 200 and <= 599:
                return step with { Status = status };
            case "status":
                problems.Add($"status: \"{value}\" is no status from 200 to 599");
                return step;
            case "retry-after" when value.StartsWith("date:", StringComparison.Ordinal) && !ScriptUnits.TryTime(value["date:".Length..], out _):
                problems.Add($"retry-after: \"{value}\" has no time; write e.g. retry-after=date:60s");
                return step;
            case "content-length" or "transfer-encoding":
                problems.Add($"{name}: the receiver sets it by the body; for a broken length use cut");
                return step;
            default:
                return AddHeader(step, name, value);
        }
    }

    private ScriptStep AddHeader(ScriptStep step, string name, string value)
    {
        if (!Token().IsMatch(name) || value.Any(character => character is < ' ' or > '~'))
        {
            problems.Add($"\"{name}\": a header has a name of letters, digits and -, and a value of printable ASCII");
            return step;
        }

        return step with { Headers = [.. step.Headers, new(name, value)] };
    }

    private static List<string> Split(string text, char separator)
    {
        var (parts, start, quoted) = (new List<string>(), 0, false);
        for (var index = 0; index < text.Length; index++)
        {
            quoted ^= text[index] == '"';
            if (text[index] == separator && !quoted)
            {
                parts.Add(text[start..index].Trim());
                start = index + 1;
            }
        }

        parts.Add(text[start..].Trim());
        return parts;
    }

    private static (string Before, string? After) Cut(string text, char separator)
        => text.IndexOf(separator, StringComparison.Ordinal) is var at and >= 0 ? (text[..at].Trim(), text[(at + 1)..].Trim()) : (text, null);

    private static string Unquote(string text) => text is ['"', .. var inner, '"'] ? inner : text;

    [GeneratedRegex("^(?<word>[0-9]{3}|[a-z]+?)(?:x(?<count>[0-9]{1,9}))?$")]
    private static partial Regex Word();

    [GeneratedRegex("^[A-Za-z0-9-]{1,64}$")]
    private static partial Regex Token();
}
