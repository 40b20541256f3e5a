using System.Text.Json.Nodes;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <summary>Which dead letters; everything is optional.</summary>
internal sealed class DeadLetterFilter
{
    /// <summary>Given up at this time or later.</summary>
    public DateTimeOffset? From { get; set; }

    /// <summary>Given up before this time.</summary>
    public DateTimeOffset? To { get; set; }

    /// <summary>What the receiver answered last: 100 to 999.</summary>
    public int? ResponseStatus { get; set; }

    /// <summary>A part of the reason, 1 to 500 characters; upper and lower case differ.</summary>
    public string? Error { get; set; }

    /// <summary>Subject of the event; * and > are allowed.</summary>
    public string? Subject { get; set; }

    /// <summary>Most dead letters, 1 to 1,000,000; all by default.</summary>
    public int? Limit { get; set; }

    public void Check(FieldProblems problems)
    {
        problems.Range("responseStatus", ResponseStatus, 100, 999);
        problems.Text("error", Error, 500);
        problems.Subject("subject", Subject, allowWildcards: true);
        problems.Range("limit", Limit, 1, 1_000_000);
    }

    /// <summary>The p_filter of the SQL functions.</summary>
    public NpgsqlParameter ToSql()
    {
        var filter = new JsonObject();
        Add("from", From?.ToString("O"));
        Add("to", To?.ToString("O"));
        Add("response_status", ResponseStatus);
        Add("error", Error);
        Add("subject", Subject);
        return Sql.Of(filter.ToJsonString(), NpgsqlDbType.Jsonb);

        void Add(string key, JsonNode? value)
        {
            if (value is not null)
            {
                filter[key] = value;
            }
        }
    }
}
