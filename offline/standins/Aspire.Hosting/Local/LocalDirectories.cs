using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Local;

/// <summary>
/// Places for files: temporary ones that go with the AppHost, and volumes that stay. Root's volumes lie outside its home,
/// because the database server must not run as root and must reach its own.
/// </summary>
internal sealed class LocalDirectories : IDisposable
{
    private readonly string _temporary = Directory.CreateTempSubdirectory("aspire-").FullName;

    public LocalDirectories() => Share(_temporary);

    public static string Volumes => Environment.IsPrivilegedProcess
        ? "/var/tmp/aspire-volumes"
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".aspire-volumes");

    public string Temporary(string resource)
    {
        var directory = Path.Combine(_temporary, resource);
        Directory.CreateDirectory(directory);
        Share(directory);
        return directory;
    }

    public string Of(ContainerMountAnnotation mount)
    {
        if (mount.Type == ContainerMountType.BindMount)
        {
            return mount.Source ?? throw new DistributedApplicationException($"The bind mount at '{mount.Target}' has no source.");
        }

        var directory = mount.Source is { } name ? Path.Combine(Volumes, name) : Path.Combine(_temporary, "volume-" + mount.Target.Trim('/').Replace('/', '-'));
        Directory.CreateDirectory(directory);
        return directory;
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(_temporary, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A leftover below the system's temporary directory harms nobody; failing to stop because of it would.
        }
    }

    // Others may pass through, not look: what is inside protects itself.
    private static void Share(string directory)
    {
        if (Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }
}
