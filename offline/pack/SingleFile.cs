using System.IO.Compression;

namespace RuleEngineNats.Offline;

/// <summary>Reads the files of a .NET single-file executable (bundle format 6: dotnet/runtime, docs/design/single-file).</summary>
internal static class SingleFile
{
    // SHA-256 of ".net core bundle": the eight bytes before it are the offset of the manifest.
    private static readonly byte[] Signature = Convert.FromHexString("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae");

    public static Dictionary<string, byte[]> Read(string executable)
    {
        using var file = File.OpenRead(executable);
        using var reader = new BinaryReader(file);
        file.Position = FindManifest(file);
        var major = reader.ReadUInt32();
        if (major != 6)
        {
            throw new InvalidDataException($"{executable} is a single-file bundle of format {major}; only 6 is known");
        }

        _ = reader.ReadUInt32(); // minor version
        var count = reader.ReadInt32();
        _ = reader.ReadString(); // bundle id
        file.Position += 5 * sizeof(long); // deps.json and runtimeconfig.json (offset, size each), flags
        var entries = new (long Offset, long Size, long Compressed, string Name)[count];
        for (var i = 0; i < count; i++)
        {
            var (offset, size, compressed) = (reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64());
            _ = reader.ReadByte(); // kind of file
            entries[i] = (offset, size, compressed, reader.ReadString());
        }

        return entries.Where(entry => entry.Name.EndsWith(".dll", StringComparison.Ordinal)).ToDictionary(entry => entry.Name, entry =>
        {
            file.Position = entry.Offset;
            var content = new byte[entry.Size];
            using var inflate = entry.Compressed > 0 ? new DeflateStream(file, CompressionMode.Decompress, leaveOpen: true) : null;
            (inflate ?? (Stream)file).ReadExactly(content);
            return content;
        });
    }

    private static long FindManifest(FileStream file)
    {
        var content = new byte[file.Length];
        file.ReadExactly(content);
        var at = content.AsSpan().IndexOf(Signature);
        return at < 8 ? throw new InvalidDataException($"{file.Name} is no single-file bundle") : BitConverter.ToInt64(content, at - 8);
    }
}
