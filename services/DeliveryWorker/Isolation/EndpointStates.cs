using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>
/// Keeps endpoints from each other: an event goes to an endpoint at once if the endpoint can take it now, and into <c>rule_webhook_calls</c> otherwise. What
/// waits there holds no place that an event of another endpoint could have.
/// </summary>
internal sealed class EndpointStates(NpgsqlDataSource database, Circuits circuits, IOptions<DeliveryOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<int, EndpointState> _states = new();

    public EndpointState Of(int webhookId) => _states.GetOrAdd(webhookId, static (id, self) => self.Create(id), this);

    /// <summary>A place for the first attempt of an event from a stream.</summary>
    public async ValueTask<Admission> AdmitAsync(Endpoint endpoint, CancellationToken cancellationToken)
    {
        if (circuits.IsOpen(endpoint.Id))
        {
            return new(null, endpoint, "circuit_open");
        }

        var state = Of(endpoint.Id);
        if (await state.Rate.TakeAsync(endpoint.Delivery, 1, cancellationToken) == 0)
        {
            return new(null, endpoint, "rate_limit");
        }

        if (!await state.Gate.EnterAsync(endpoint.Delivery.MaxConcurrency, options.Value.SpillAfter, options.Value.Concurrency / 4, cancellationToken))
        {
            state.Rate.GiveBack(1);
            return new(null, endpoint, "concurrency");
        }

        state.Retries.Earn();
        return new(state.Gate, endpoint, null);
    }

    /// <summary>A place for a leased call, whose turn was decided when it was leased.</summary>
    public async ValueTask<Admission> EnterAsync(Endpoint endpoint, bool first, CancellationToken cancellationToken)
    {
        var state = Of(endpoint.Id);
        await state.Gate.EnterAsync(endpoint.Delivery.MaxConcurrency, patience: null, line: int.MaxValue, cancellationToken);
        if (first)
        {
            state.Retries.Earn();
        }

        return new(state.Gate, endpoint, null);
    }

    private EndpointState Create(int webhookId) => new(webhookId, database, options.Value, time);
}

/// <summary>A place of an endpoint, given back when disposed of; or the reason why there is none.</summary>
internal readonly struct Admission(EndpointGate? gate, Endpoint endpoint, string? refusal) : IDisposable
{
    /// <summary>Null when the attempt may be made now.</summary>
    public string? Refusal => refusal;

    public void Dispose() => gate?.Leave(endpoint.Delivery.MaxConcurrency);
}
