using RuleEngineNats.Offline;

// Usage: pack <aspire-cli.tgz> <bundle folder> <packages folder> <feed folder>
if (args is not [var cli, var bundle, var packages, var feed])
{
    Console.Error.WriteLine("usage: pack <aspire-cli.tgz> <bundle folder> <packages folder> <feed folder>");
    return 2;
}

var managed = Path.Combine(bundle, "managed");
AspireCli.ExtractManaged(cli, managed);
var assemblies = SingleFile.Read(Path.Combine(managed, "aspire-managed"));
foreach (var package in Packages.All)
{
    var files = package.Assemblies.ToDictionary(name => name, name => assemblies.TryGetValue(name, out var bytes)
        ? bytes
        : throw new InvalidDataException($"the bundle has no {name}"));
    Nupkg.Write(feed, package, files);
}

var npgsql = Path.Combine(packages, "npgsql", "10.0.0", "lib", "net10.0");
Nupkg.Write(feed, Packages.Npgsql, new() { ["Npgsql.dll"] = File.ReadAllBytes(Path.Combine(npgsql, "Npgsql.dll")) });
return 0;
