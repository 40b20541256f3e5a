namespace Aspire.Hosting.ApplicationModel;

/// <summary>A NATS server.</summary>
public class NatsServerResource : ContainerResource, IResourceWithConnectionString
{
    private const string DefaultUserName = "nats";

    public NatsServerResource(string name)
        : base(name) => PrimaryEndpoint = new EndpointReference(this, "tcp");

    public NatsServerResource(string name, ParameterResource? userName, ParameterResource? password)
        : this(name)
    {
        UserNameParameter = userName;
        PasswordParameter = password;
    }

    public EndpointReference PrimaryEndpoint { get; }

    public EndpointReferenceExpression Host => PrimaryEndpoint.Property(EndpointProperty.Host);

    public EndpointReferenceExpression Port => PrimaryEndpoint.Property(EndpointProperty.Port);

    public ParameterResource? UserNameParameter { get; set; }

    public ReferenceExpression UserNameReference =>
        UserNameParameter is null ? ReferenceExpression.Create($"{DefaultUserName}") : ReferenceExpression.Create($"{UserNameParameter}");

    public ParameterResource? PasswordParameter { get; set; }

    public ReferenceExpression ConnectionStringExpression => UriExpression;

    public ReferenceExpression UriExpression
    {
        get
        {
            var uri = new ReferenceExpressionBuilder();
            uri.AppendLiteral("nats://");
            if (PasswordParameter is not null && UserNameParameter is not null)
            {
                uri.Append($"{UserNameParameter:uri}:{PasswordParameter:uri}@");
            }
            else if (PasswordParameter is not null)
            {
                uri.Append($"{DefaultUserName}:{PasswordParameter:uri}@");
            }

            uri.Append($"{PrimaryEndpoint.Property(EndpointProperty.HostAndPort)}");
            return uri.Build();
        }
    }

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties()
    {
        yield return new("Host", ReferenceExpression.Create($"{Host}"));
        yield return new("Port", ReferenceExpression.Create($"{Port}"));
        yield return new("Username", UserNameReference);
        if (PasswordParameter is not null)
        {
            yield return new("Password", ReferenceExpression.Create($"{PasswordParameter}"));
        }

        yield return new("Uri", UriExpression);
    }
}
