namespace RuleEngineNats.Offline;

internal sealed record Dependency(string Id, string Version, string? Include = null);

internal sealed record Package(string Id, string Version, string[] Assemblies, Dependency[] Dependencies, bool AspNetCore = false);

/// <summary>
/// Genuine assemblies under their genuine ids, one revision above the version the product asks for: a feed that has the
/// genuine package serves that one, since NuGet takes the lowest version that satisfies a reference.
/// </summary>
internal static class Packages
{
    private const string Grpc = "2.80.0.1";
    private const string Protobuf = "3.34.1.1";
    private const string Extensions = "10.0.14";

    public static readonly Package Npgsql = new("Npgsql", "10.0.2.1", ["Npgsql.dll"],
        [new("Microsoft.Extensions.Logging.Abstractions", "10.0.0")]);

    public static readonly Package[] All =
    [
        new("Google.Protobuf", Protobuf, ["Google.Protobuf.dll"], []),
        new("Grpc.Core.Api", Grpc, ["Grpc.Core.Api.dll"], []),
        new("Grpc.Net.Common", Grpc, ["Grpc.Net.Common.dll"], [new("Grpc.Core.Api", Grpc)]),
        new("Grpc.Net.Client", Grpc, ["Grpc.Net.Client.dll"],
            [new("Grpc.Net.Common", Grpc), new("Microsoft.Extensions.Logging.Abstractions", Extensions)]),
        new("Grpc.Net.ClientFactory", Grpc, ["Grpc.Net.ClientFactory.dll"],
            [new("Grpc.Net.Client", Grpc), new("Microsoft.Extensions.Http", Extensions)]),
        new("Grpc.AspNetCore.Server", Grpc, ["Grpc.AspNetCore.Server.dll"], [new("Grpc.Net.Common", Grpc)], AspNetCore: true),
        new("Grpc.AspNetCore.Server.ClientFactory", Grpc, ["Grpc.AspNetCore.Server.ClientFactory.dll"],
            [new("Grpc.AspNetCore.Server", Grpc), new("Grpc.Net.ClientFactory", Grpc)], AspNetCore: true),
        new("Grpc.AspNetCore", Grpc, [],
            [
                new("Google.Protobuf", Protobuf),
                new("Grpc.AspNetCore.Server.ClientFactory", Grpc),
                new("Grpc.Tools", "2.80.0", "All"),
            ]),
        new("OpenTelemetry.Extensions.Hosting", "1.15.3.1", ["OpenTelemetry.Extensions.Hosting.dll"],
            [new("OpenTelemetry", "1.15.3"), new("Microsoft.Extensions.Hosting.Abstractions", "10.0.0")]),
    ];
}
