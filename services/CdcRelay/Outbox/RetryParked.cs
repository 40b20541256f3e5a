using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Publishes parked rows when they are due, each destination in its turn, so that the backlog of one that is unavailable hides none of
/// another. Those that another path has brought to an end meanwhile are forgotten.
/// </summary>
internal sealed class RetryParked(
    NpgsqlDataSource dataSource, ConfigWatcher config, PublishOutboxRow publish, InFlightRows inFlight, StreamGates gates)
{
    private const int Batch = 500;

    /// <returns>How many destinations have parked rows, and how many of these were sent.</returns>
    public async Task<(int Destinations, int Sent)> RunAsync(CancellationToken reading, CancellationToken working)
    {
        var sent = 0;
        var destinations = await DestinationsAsync(reading);
        foreach (var parked in destinations)
        {
            // A closed gate lets one row through, as the probe.
            var limit = gates.State(Destination.OfParked(config.Current, parked).Gate) switch { GateState.Open => Batch, GateState.Probe => 1, _ => 0 };
            if (limit == 0)
            {
                continue;
            }

            foreach (var row in await DueAsync(parked, limit, reading))
            {
                if (await publish.SendAsync(row, transaction: null, reading, working))
                {
                    sent++;
                }
            }
        }

        return (destinations.Count, sent);
    }

    private async Task<List<string>> DestinationsAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT rule_nats_parked_destinations()");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var destinations = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            destinations.Add(reader.GetString(0));
        }

        return destinations;
    }

    private async Task<List<OutboxRow>> DueAsync(string destination, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand($"SELECT {DecodeOutboxRow.Columns} FROM rule_nats_parked_due($1, $2, $3) AS h");
        command.Parameters.Add(new() { Value = destination });
        command.Parameters.Add(new() { Value = inFlight.Snapshot().PublishIds });
        command.Parameters.Add(new() { Value = limit });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<OutboxRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(DecodeOutboxRow.FromQuery(reader));
        }

        return rows;
    }
}
