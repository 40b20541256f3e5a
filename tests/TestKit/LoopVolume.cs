using System.ComponentModel;
using System.Runtime.InteropServices;

namespace RuleEngineNats.TestKit;

/// <summary>
/// A file system in a file, whose power can be cut: what has not reached the file by an fsync or by the kernel's own writing is gone after
/// <see cref="RemountAsync"/>. Needs root and loop devices.
/// </summary>
public sealed partial class LoopVolume : IAsyncDisposable
{
    // FS_IOC_SHUTDOWN with the flag that the journal is not written either: ext4 and xfs stop as if the disk had gone.
    private const nuint Shutdown = 0x8004587d;
    private const uint NoLogFlush = 2;

    private readonly DirectoryInfo _folder;

    private LoopVolume(DirectoryInfo folder) => _folder = folder;

    public string Path => System.IO.Path.Combine(_folder.FullName, "mount");

    private string Image => System.IO.Path.Combine(_folder.FullName, "image");

    /// <summary>Why this machine has no such volumes; null where it has.</summary>
    public static async Task<string?> UnavailableAsync()
    {
        try
        {
            await using var volume = await CreateAsync(megabytes: 8);
            volume.CutPower();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            return $"a file system in a file cannot be mounted here: {e.Message}";
        }
    }

    public static async Task<LoopVolume> CreateAsync(int megabytes)
    {
        var volume = new LoopVolume(Directory.CreateTempSubdirectory("loop-"));
        try
        {
            Directory.CreateDirectory(volume.Path);
            await using (var image = File.Create(volume.Image))
            {
                image.SetLength(megabytes * 1024L * 1024L);
            }

            await RunAsync("mkfs.ext4", "-q", "-F", volume.Image);
            await volume.MountAsync();
            return volume;
        }
        catch
        {
            volume._folder.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Writes everything to the disk, of this machine as a whole.</summary>
    public static void Sync() => SyncAll();

    /// <summary>From now on nothing that is written arrives, fsync fails, and what waited in memory is lost.</summary>
    public void CutPower()
    {
        var folder = Open(Path, 0);
        var flag = NoLogFlush;
        var failed = folder < 0 || Control(folder, Shutdown, ref flag) != 0;
        var error = Marshal.GetLastPInvokeError();
        if (folder >= 0)
        {
            _ = Close(folder);
        }

        if (failed)
        {
            throw new InvalidOperationException($"the file system does not stop: errno {error}");
        }
    }

    /// <summary>The power is back. Nobody may have files open.</summary>
    public async Task RemountAsync()
    {
        await Wait.UntilAsync(
            async () =>
            {
                await RunAsync("umount", Path);
                return true;
            },
            "the volume is unmounted");
        await MountAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Wait.UntilAsync(
            async () =>
            {
                await RunAsync("umount", Path);
                return true;
            },
            "the volume is unmounted");
        _folder.Delete(recursive: true);
    }

    private Task MountAsync() => RunAsync("mount", "-o", "loop", Image, Path);

    private static async Task RunAsync(string command, params string[] arguments)
    {
        try
        {
            await using var process = ChildProcess.Start(command, arguments);
            await process.ExitedAsync();
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException($"{command} ended with {process.ExitCode}: {process.Output}");
            }
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"{command}: {e.Message}", e);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(int file, nuint request, ref uint argument);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "sync")]
    private static partial void SyncAll();
}
