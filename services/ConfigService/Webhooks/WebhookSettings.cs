using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>What a client may say about a webhook, at registration and later.</summary>
internal class WebhookSettings
{
    /// <summary>1 to 255 characters, unique. With nats enabled and no subject given, the subject is made of it.</summary>
    public string? Name { get; set; }

    /// <summary>http or https, at most 2,048 characters, without user information.</summary>
    public string? Url { get; set; }

    /// <summary>GET, POST, PUT, PATCH or DELETE; POST by default.</summary>
    public string? Method { get; set; }

    /// <summary>Headers of every delivery: at most 64, 8 KiB together. In a PATCH, null takes a header away and what is not named stays.</summary>
    public Dictionary<string, string?>? Headers { get; set; }

    /// <summary>For people; at most 2,000 characters.</summary>
    public string? Description { get; set; }

    /// <summary>Time for one HTTP attempt: 1 to 60,000 ms, 5,000 by default.</summary>
    public int? TimeoutMs { get; set; }

    /// <summary>Whether a failed attempt is repeated; true by default.</summary>
    public bool? RetryEnabled { get; set; }

    /// <summary>Most repeats: 0 to 10, 3 by default.</summary>
    public int? MaxRetries { get; set; }

    /// <summary>Delay before the first repeat: 0 to 86,400,000 ms, 1,000 by default.</summary>
    public int? RetryDelayMs { get; set; }

    /// <summary>Each further delay is the one before times this: 1 to 100, 2 by default.</summary>
    public double? RetryBackoffMultiplier { get; set; }

    /// <summary>Whether it is delivered to; true by default.</summary>
    public bool? Enabled { get; set; }

    /// <summary>Free labels: at most 32 of at most 64 characters.</summary>
    public string[]? Tags { get; set; }

    /// <summary>Which messages it receives; * and > are allowed. Null, the default, stands for the subject it publishes to.</summary>
    public string? SubjectFilter { get; set; }

    /// <summary>How long a message id is remembered: 0 to 2,592,000 s, 86,400 by default. Null or 0 leaves only the stream's duplicate window.</summary>
    public long? DeduplicateForSeconds { get; set; }

    /// <summary>Finds everything that is wrong, in the same terms as the SQL functions.</summary>
    public void Check(FieldProblems problems, EgressOptions egress)
    {
        problems.Text("name", Name, 255);
        UrlRules.Check("url", Url, egress, problems);
        problems.OneOf("method", Method?.ToUpperInvariant(), "GET", "POST", "PUT", "PATCH", "DELETE");
        CheckHeaders(problems);
        problems.Text("description", Description, 2000, lines: true, minimum: 0);
        problems.Range("timeoutMs", TimeoutMs, 1, 60_000);
        problems.Range("maxRetries", MaxRetries, 0, 10);
        problems.Range("retryDelayMs", RetryDelayMs, 0, 86_400_000);
        problems.Range("retryBackoffMultiplier", RetryBackoffMultiplier, 1, 100);
        CheckTags(problems);
        problems.Subject("subjectFilter", SubjectFilter, allowWildcards: true);
        problems.Range("deduplicateForSeconds", DeduplicateForSeconds, 0, 2_592_000);
    }

    private void CheckTags(FieldProblems problems)
    {
        if (Tags?.Length > 32)
        {
            problems.Add(FieldProblem.TooLarge, "tags", $"{Tags.Length} tags, at most 32", "Give fewer.", 32);
            return;
        }

        for (var index = 0; index < (Tags?.Length ?? 0); index++)
        {
            if (Tags![index] is null)
            {
                problems.Add("wrong_type", $"tags[{index}]", "must be a string", "Send a value of that type.");
            }

            problems.Text($"tags[{index}]", Tags[index], 64);
        }
    }

    private void CheckHeaders(FieldProblems problems)
    {
        var given = (Headers ?? []).Where(header => header.Value is not null).Select(header => KeyValuePair.Create(header.Key, header.Value!)).ToArray();
        var sound = true;
        foreach (var header in given.Length > HeaderRules.MaxCount ? [] : given)
        {
            // An event may carry some ce- headers of its publisher; an endpoint may not set any, or two events would look alike.
            var problem = header.Key.StartsWith("ce-", StringComparison.OrdinalIgnoreCase)
                ? new HeaderProblem(HeaderProblemKind.Reserved, header.Key, "reserved header")
                : HeaderRules.Check([header]);
            if (problem is not null)
            {
                sound = false;
                Add(problem, problems);
            }
            else if (header.Value == CredentialHeaders.Redacted)
            {
                problems.Add("redacted_value", $"headers[{header.Key}]", "is the mark for a value that is not shown", "Leave the header out of a PATCH to keep it, or send its value.");
            }
        }

        if (sound && HeaderRules.Check(given) is { } whole)
        {
            Add(whole, problems);
        }
    }

    private static void Add(HeaderProblem problem, FieldProblems problems)
    {
        var (code, limit) = problem.Kind switch
        {
            HeaderProblemKind.TooMany => (FieldProblem.TooLarge, (double?)HeaderRules.MaxCount),
            HeaderProblemKind.TooLarge => (FieldProblem.TooLarge, HeaderRules.MaxTotalBytes),
            _ => ("invalid_header", null),
        };
        var message = problem.ToString();
        problems.Add(code, message[..message.IndexOf(": ", StringComparison.Ordinal)], message, problem.Kind switch
        {
            HeaderProblemKind.Reserved => "Leave it out: the delivery worker, the connection or the server sets it.",
            HeaderProblemKind.Duplicate => "Give it once.",
            HeaderProblemKind.TooMany or HeaderProblemKind.TooLarge => "Give fewer or shorter headers.",
            _ => "Names of letters, digits and !#$%&'*+-.^_`|~, values of printable ASCII without spaces at the ends.",
        }, limit);
    }
}
