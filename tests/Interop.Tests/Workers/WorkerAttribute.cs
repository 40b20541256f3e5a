using System.Reflection;
using Xunit.Sdk;

namespace RuleEngineNats.Interop.Tests.Workers;

/// <summary>
/// Runs a theory with the example worker of a language: skipped, with the reason, where that language or its packages are not here. WORKER_LANGUAGES
/// ("node,python,go") names those that must not be skipped; Node.js, which the other tests need too, never is.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class WorkerAttribute : DataAttribute
{
    private readonly string _language;

    public WorkerAttribute(string language)
    {
        _language = language;
        var demanded = (Environment.GetEnvironmentVariable("WORKER_LANGUAGES") ?? "").Split(',', StringSplitOptions.TrimEntries);
        if (language != "node" && !demanded.Contains(language))
        {
            Skip = WorkerLanguage.Of(language).Missing;
        }
    }

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[_language]];
}
