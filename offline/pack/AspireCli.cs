using System.Formats.Tar;
using System.IO.Compression;

namespace RuleEngineNats.Offline;

/// <summary>npm's Aspire CLI: an executable with a tar.gz appended as a resource, whose <c>managed/</c> folder holds the dashboard.</summary>
internal static class AspireCli
{
    private const string Folder = "/managed/";

    public static void ExtractManaged(string npmTarball, string target)
    {
        if (Directory.Exists(target))
        {
            Directory.Delete(target, recursive: true);
        }

        var executable = ReadEntry(npmTarball, "package/bin/aspire");
        using var bundle = new TarReader(OpenBundle(executable));
        while (bundle.GetNextEntry() is { } entry)
        {
            var at = entry.Name.IndexOf(Folder, StringComparison.Ordinal);
            if (at < 0 || entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
            {
                continue;
            }

            var file = Path.GetFullPath(Path.Combine(target, entry.Name[(at + Folder.Length)..]));
            if (!file.StartsWith(Path.GetFullPath(target) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            {
                throw new InvalidDataException($"the bundle has an entry outside its folder: {entry.Name}");
            }

            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            entry.ExtractToFile(file, overwrite: true);
        }
    }

    private static byte[] ReadEntry(string tarball, string name)
    {
        using var tar = new TarReader(new GZipStream(File.OpenRead(tarball), CompressionMode.Decompress));
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.Name == name)
            {
                using var content = new MemoryStream();
                entry.DataStream!.CopyTo(content);
                return content.ToArray();
            }
        }

        throw new InvalidDataException($"{tarball} has no {name}");
    }

    // The bundle is the first gzip stream of the executable that opens as a tar.
    private static GZipStream OpenBundle(byte[] executable)
    {
        ReadOnlySpan<byte> gzip = [0x1f, 0x8b, 0x08];
        var header = new byte[512];
        for (var from = 0; executable.AsSpan(from).IndexOf(gzip) is var at and >= 0; from += at + 1)
        {
            try
            {
                using var probe = Open(executable, from + at);
                probe.ReadExactly(header);
                if (header.AsSpan(257, 5).SequenceEqual("ustar"u8))
                {
                    return Open(executable, from + at);
                }
            }
            catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
            {
                // Three bytes that look like gzip and are not: look further.
            }
        }

        throw new InvalidDataException("the Aspire CLI carries no bundle");
    }

    private static GZipStream Open(byte[] executable, int at)
        => new(new MemoryStream(executable, at, executable.Length - at), CompressionMode.Decompress);
}
