using Microsoft.Extensions.Configuration;
using RuleEngineNats.AppHost;

var lean = args.Contains("--Lean=true");
var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions
{
    Args = args,
    DisableDashboard = lean,
});

// Generated once and kept in user secrets; set Parameters:postgres-password, Parameters:nats-password and Parameters:secrets-key to choose them.
var postgresPassword = builder.AddParameter("postgres-password", Password(), secret: true, persist: true);
var natsPassword = builder.AddParameter("nats-password", Password(), secret: true, persist: true);

// 43 letters and digits and the = that each service gets after them are the base64 of 32 bytes: the key of secrets in PostgreSQL.
var secretsKey = builder.AddParameter("secrets-key", new GenerateParameterDefault { MinLength = 43, Special = false }, secret: true, persist: true);

var postgres = builder.AddPostgres("postgres", password: postgresPassword)
    .WithArgs("-c", "wal_level=logical", "-c", "max_connections=200", "-c", "max_slot_wal_keep_size=10GB");
var nats = builder.AddNats("nats", password: natsPassword)
    .WithJetStream();
if (builder.Configuration.GetValue("DataVolumes", true))
{
    postgres.WithDataVolume("rule-engine-nats-postgres");
    nats.WithDataVolume("rule-engine-nats-jetstream");
}

var rules = postgres.AddDatabase("rules");

var migrator = builder.AddProject<Projects.SchemaMigrator>("schema-migrator")
    .WithReference(rules)
    .WaitFor(rules);

// Owns the streams: ready once each definition of rule_nats_streams is on the server.
var config = AddService<Projects.ConfigService>("config-service")
    .WaitFor(nats)
    .WaitForCompletion(migrator)
    .WithExternalHttpEndpoints();

var publish = AddService<Projects.PublishService>("publish-service").WaitFor(config);
AddService<Projects.CdcRelay>("cdc-relay").WaitFor(config);
AddService<Projects.DeliveryWorker>("delivery-worker").WaitFor(config);
var ingest = AddService<Projects.IngestionApi>("ingestion-api")
    .WaitFor(config)
    .WithExternalHttpEndpoints();
var worker = AddService<Projects.IngestionWorker>("ingestion-worker").WaitFor(config);
if (builder.ExecutionContext.IsRunMode)
{
    // What documents are stored as: a folder of definitions. Where it is deployed the folder comes with the deployment.
    var entities = Path.GetFullPath(builder.Configuration["Entities"]!, builder.AppHostDirectory);
    ingest.WithEnvironment("Ingestion__Entities__Folder", entities);
    worker.WithEnvironment("Ingestion__Entities__Folder", entities);
}

builder.AddEndpointsFile(rules, nats, publish, config, ingest, withDashboard: !lean);
builder.Build().Run();

// Replicas:<name> of a service stand behind one address; 1 by default.
IResourceBuilder<ProjectResource> AddService<TProject>(string name)
    where TProject : IProjectMetadata, new()
    => builder.AddProject<TProject>(name)
        .WithReference(rules)
        .WithReference(nats)
        .WithEnvironment("DOTNET_ENVIRONMENT", builder.Environment.EnvironmentName)
        .WithEnvironment("Secrets__ActiveKey", "main")
        .WithEnvironment("Secrets__Keys__main", $"{secretsKey}=")
        .WithReplicas(builder.Configuration.GetValue($"Replicas:{name}", 1))
        .WithHttpHealthCheck("/health/ready", endpointName: "http");

static GenerateParameterDefault Password() => new() { MinLength = 24, Special = false };
