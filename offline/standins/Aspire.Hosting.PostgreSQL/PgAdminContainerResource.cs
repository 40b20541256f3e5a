using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Postgres;

public sealed class PgAdminContainerResource(string name) : ContainerResource(name);
