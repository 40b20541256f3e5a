using Microsoft.Extensions.Options;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>What settings must be to each other; all problems are reported at once.</summary>
internal sealed class DeliveryOptionsRules : IValidateOptions<DeliveryOptions>
{
    public ValidateOptionsResult Validate(string? name, DeliveryOptions options)
    {
        var problems = new List<string>();
        if (options.Lease <= options.MaxTimeout)
        {
            problems.Add("Delivery:Lease must be longer than Delivery:MaxTimeout, or a second worker sends what the first is still sending.");
        }

        if (options.AckWait < 2 * options.ProgressEvery)
        {
            problems.Add("Delivery:AckWait must be at least twice Delivery:ProgressEvery, or one lost report gives the event to another worker.");
        }

        if (options.QueuePollIdle < options.QueuePollBusy)
        {
            problems.Add("Delivery:QueuePollIdle must not be shorter than Delivery:QueuePollBusy.");
        }

        // Data annotations do not look into nested options by themselves.
        problems.AddRange(EgressOptionsRules.FindProblems(options.Egress));
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }
}
