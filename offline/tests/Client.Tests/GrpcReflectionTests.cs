using Google.Protobuf.Reflection;
using Grpc.Core;
using V1 = Grpc.Reflection.V1;
using V1Alpha = Grpc.Reflection.V1Alpha;

namespace RuleEngineNats.Offline.Clients;

public sealed class GrpcReflectionTests
{
    private static readonly string[] Mapped = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

    [Fact]
    public async Task Both_versions_list_the_mapped_services()
    {
        await using var server = await GrpcServer.StartAsync();

        var v1 = await Ask(server, new V1.ServerReflectionRequest { ListServices = "*" });
        using var alpha = new V1Alpha.ServerReflection.ServerReflectionClient(server.Channel).ServerReflectionInfo(cancellationToken: GrpcServer.Deadline());
        await alpha.RequestStream.WriteAsync(new V1Alpha.ServerReflectionRequest { ListServices = "*" });
        Assert.True(await alpha.ResponseStream.MoveNext(GrpcServer.Deadline()));

        Assert.Equal(Mapped, v1.ListServicesResponse.Service.Select(static service => service.Name).Order());
        Assert.Equal(Mapped, alpha.ResponseStream.Current.ListServicesResponse.Service.Select(static service => service.Name).Order());
    }

    [Theory]
    [InlineData("grpc.health.v1.Health")]
    [InlineData("grpc.health.v1.Health.Check")]
    [InlineData("grpc.health.v1.HealthCheckResponse.ServingStatus")]
    public async Task A_symbol_is_found_in_the_file_that_defines_it(string symbol)
    {
        await using var server = await GrpcServer.StartAsync();

        var answer = await Ask(server, new V1.ServerReflectionRequest { FileContainingSymbol = symbol });
        var file = FileDescriptorProto.Parser.ParseFrom(answer.FileDescriptorResponse.FileDescriptorProto[0]);

        Assert.Equal("grpc.health.v1", file.Package);
        var same = await Ask(server, new V1.ServerReflectionRequest { FileByFilename = file.Name });
        Assert.Equal(answer.FileDescriptorResponse, same.FileDescriptorResponse);
    }

    [Fact]
    public async Task What_is_unknown_is_an_error_in_the_answer_and_ends_no_stream()
    {
        await using var server = await GrpcServer.StartAsync();

        var symbol = await Ask(server, new V1.ServerReflectionRequest { FileContainingSymbol = "no.such.Symbol" });
        var extension = await Ask(server, new V1.ServerReflectionRequest { AllExtensionNumbersOfType = "x" });

        Assert.Equal((int)StatusCode.NotFound, symbol.ErrorResponse.ErrorCode);
        Assert.Equal((int)StatusCode.Unimplemented, extension.ErrorResponse.ErrorCode);
    }

    private static async Task<V1.ServerReflectionResponse> Ask(GrpcServer server, V1.ServerReflectionRequest request)
    {
        using var call = new V1.ServerReflection.ServerReflectionClient(server.Channel).ServerReflectionInfo(cancellationToken: GrpcServer.Deadline());
        await call.RequestStream.WriteAsync(request);
        Assert.True(await call.ResponseStream.MoveNext(GrpcServer.Deadline()));
        return call.ResponseStream.Current;
    }
}
