namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>A file that a load appends to. It is made with the first write.</summary>
internal sealed class SideFile : IDisposable
{
    private readonly string _path;
    private readonly FileShare _share;
    private FileStream? _file;
    private long _length;

    /// <param name="known">What the state has of it: what is behind that belongs to portions that will be sent again, and goes.</param>
    /// <param name="keepOld">A file that is there and is not the state's: true appends to it, false moves it aside.</param>
    /// <param name="claim">Whether no other process may have it meanwhile; it is made at once then.</param>
    public SideFile(string path, SideFileState? known, bool keepOld, bool claim = false)
    {
        (_path, _share) = (System.IO.Path.GetFullPath(path), claim ? FileShare.None : FileShare.Read);
        var goesOn = known?.Path == _path;
        if (!claim && !File.Exists(_path))
        {
            return;
        }

        if (!goesOn && !keepOld)
        {
            File.Move(_path, _path + ".old", overwrite: true);
            return;
        }

        _file = Open();
        if (goesOn && _file.Length > known!.Bytes)
        {
            _file.SetLength(known.Bytes);
        }

        _length = _file.Seek(0, SeekOrigin.End);
    }

    public SideFileState State => new(_path, _length);

    public string Path => _path;

    public void Write(ReadOnlySpan<byte> bytes)
    {
        _file ??= Open();
        _file.Write(bytes);
        _length += bytes.Length;
    }

    /// <summary>Returns once what was written is on the disk.</summary>
    public void Flush() => _file?.Flush(flushToDisk: true);

    /// <summary>What is in it; nothing may be written meanwhile.</summary>
    public IEnumerable<string> Lines()
    {
        if (_file is null)
        {
            yield break;
        }

        _file.Position = 0;
        using var reader = new StreamReader(_file, leaveOpen: true);
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    public void Dispose() => _file?.Dispose();

    private FileStream Open() => new(_path, FileMode.OpenOrCreate, FileAccess.ReadWrite, _share, bufferSize: 64 * 1024);
}
