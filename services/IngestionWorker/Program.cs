using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
if (args.Contains("--check"))
{
    return EntityCheck.Run(builder.Configuration[$"{IngestionEntitiesOptions.Section}:Folder"] ?? "", Console.Out);
}

builder.AddServiceDefaults();
builder.AddNpgsqlDataSource(ConnectionNames.Rules);
builder.AddMessaging();
builder.Services.AddIngestStreams();
builder.AddIngestion();

var app = builder.Build();
app.MapServiceDefaults();
await app.RunAsync();
return 0;
