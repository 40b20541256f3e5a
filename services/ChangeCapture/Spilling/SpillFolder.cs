using System.Globalization;

namespace RuleEngineNats.ChangeCapture.Spilling;

/// <summary>The files of a slot in SpillDirectory, <c>{slot}-{number}.spill</c>: one for each session of the server, which describes its tables anew and repeats what it had not committed.</summary>
internal sealed class SpillFolder(string directory, string slot) : IDisposable
{
    private FileStream? _lock;

    public string Directory => directory;

    /// <summary>Ends the capture before it begins where the folder is not one to write to.</summary>
    public static void Check(string? directory)
    {
        if (directory is null)
        {
            return;
        }

        try
        {
            using var file = new FileStream(Path.Combine(directory, $"{Guid.NewGuid():N}.spill-check"), FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CaptureException($"SpillDirectory: {directory} cannot be written: {exception.Message}", exception);
        }
    }

    /// <summary>Keeps the files for this process alone until it is disposed: another that has not noticed yet that it lost the slot may still be writing.</summary>
    public void Lock()
    {
        try
        {
            _lock ??= new(Path.Combine(directory, $"{slot}.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception exception) when (SpillException.IsRefusal(exception))
        {
            throw new SpillException(directory, exception);
        }
    }

    /// <summary>In the order in which they were written.</summary>
    public IReadOnlyList<string> Files()
    {
        try
        {
            return [.. System.IO.Directory.EnumerateFiles(directory, $"{slot}-*.spill").Where(path => Number(path) > 0).OrderBy(Number)];
        }
        catch (Exception exception) when (SpillException.IsRefusal(exception))
        {
            throw new SpillException(directory, exception);
        }
    }

    /// <summary>The path of the file behind these.</summary>
    public string Next(IReadOnlyList<string> files)
        => Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{slot}-{(files.Count == 0 ? 1 : Number(files[^1]) + 1)}.spill"));

    public void Dispose() => _lock?.Dispose();

    // A slot's name has no hyphen.
    private static long Number(string path)
        => long.TryParse(Path.GetFileNameWithoutExtension(path).Split('-')[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}

/// <summary>SpillDirectory is not to be had for the moment. What is confirmed is there; what is not comes again.</summary>
internal sealed class SpillException(string directory, Exception inner) : IOException(
    $"SpillDirectory (--spill-directory): {directory} cannot be used: {inner.Message}; make room there, let this user write to it, or end the other process that captures from the slot", inner)
{
    // The last is what the framework makes of a file larger than its file system, or the process (ulimit -f), allows.
    public static bool IsRefusal(Exception exception) => exception is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException;
}
