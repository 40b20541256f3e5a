using Microsoft.Extensions.Configuration;

var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { Args = args, DisableDashboard = true });

var password = builder.AddParameter("postgres-password", new GenerateParameterDefault { MinLength = 24 }, secret: true);
var postgres = builder.AddPostgres("postgres", password: password).WithArgs("-c", "wal_level=logical");
var rules = postgres.AddDatabase("rules");
var nats = builder.AddNats("nats").WithJetStream();

var job = builder.AddProject<Projects.Sample_Job>("job")
    .WithReference(rules)
    .WaitFor(rules);

var service = builder.AddProject<Projects.Sample_Service>("service")
    .WithReference(rules)
    .WithReference(nats)
    .WithEnvironment("GREETING", $"hello from {nats.Resource.PrimaryEndpoint.Property(EndpointProperty.Port)}")
    .WaitFor(nats)
    .WaitForCompletion(job)
    .WithReplicas(builder.Configuration.GetValue("Replicas", 2))
    .WithHttpHealthCheck("/health/ready", endpointName: "http");

builder.AddProject<Projects.Sample_Caller>("caller")
    .WithReference(service)
    .WaitFor(service)
    .WithHttpHealthCheck("/health/ready");

builder.Build().Run();
