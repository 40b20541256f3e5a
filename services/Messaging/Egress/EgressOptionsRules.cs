using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace RuleEngineNats.Messaging;

/// <summary>What an egress policy may be; all problems are reported at once, each by its key.</summary>
public sealed class EgressOptionsRules : IValidateOptions<EgressOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, EgressOptions options)
        => FindProblems(options).ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;

    /// <summary>What is wrong with a policy.</summary>
    public static IEnumerable<string> FindProblems(EgressOptions options)
    {
        if (options.AllowedPorts.Any(port => port is < 1 or > 65535))
        {
            yield return EgressOptions.Section + ":AllowedPorts must be from 1 to 65535.";
        }

        foreach (var text in options.AllowedNetworks)
        {
            if (!IPNetwork.TryParse(text, out var network))
            {
                yield return $"{EgressOptions.Section}:AllowedNetworks: {text} is no network such as 10.1.0.0/16.";
            }
            else if (!EgressOptions.CanBeListed(AddressTable.Classify(network.BaseAddress)) || network.BaseAddress.IsIPv4MappedToIPv6)
            {
                yield return $"{EgressOptions.Section}:AllowedNetworks: {text} is not private, carrier-grade NAT or loopback; public addresses are allowed anyway, others never.";
            }
        }

        if (!string.IsNullOrEmpty(options.Proxy) && options.ProxyEndPoint() is null)
        {
            yield return EgressOptions.Section + ":Proxy must be http://host:port without user information and path.";
        }

        var results = new List<ValidationResult>();
        if (!Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true))
        {
            foreach (var result in results)
            {
                yield return $"{EgressOptions.Section}: {result.ErrorMessage}";
            }
        }
    }
}

/// <summary>Registers the policy.</summary>
public static class EgressRegistration
{
    /// <summary>Binds <see cref="EgressOptions"/> and checks them at start.</summary>
    public static IServiceCollection AddEgress(this IServiceCollection services)
    {
        services.AddOptions<EgressOptions>().BindConfiguration(EgressOptions.Section).ValidateOnStart();
        return services.AddSingleton<IValidateOptions<EgressOptions>, EgressOptionsRules>();
    }
}
