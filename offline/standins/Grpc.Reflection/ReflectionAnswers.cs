using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Grpc.Reflection;

/// <summary>What both protocol versions answer; each only wraps it in its own messages.</summary>
internal sealed class ReflectionAnswers(IEnumerable<string> services, SymbolRegistry registry)
{
    public ReflectionAnswers(IReadOnlyCollection<ServiceDescriptor> services)
        : this(services.Select(static service => service.FullName), SymbolRegistry.FromFiles(services.Select(static service => service.File).Distinct()))
    {
    }

    public IReadOnlyList<string> Services { get; } = [.. services];

    public IEnumerable<ByteString>? FilesByName(string name) => WithImports(registry.FileByName(name));

    public IEnumerable<ByteString>? FilesDefining(string symbol) => WithImports(registry.FileContainingSymbol(symbol));

    private static IEnumerable<ByteString>? WithImports(FileDescriptor? file)
    {
        if (file is null)
        {
            return null;
        }

        var files = new List<FileDescriptor> { file };
        for (var next = 0; next < files.Count; next++)
        {
            files.AddRange(files[next].Dependencies.Except(files).ToArray());
        }

        return files.Select(static file => file.SerializedData);
    }
}
