using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionApi;
using RuleEngineNats.IngestionApi.Batches;
using RuleEngineNats.IngestionApi.Limits;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
// Accepting needs no database: one that is away must not make this service unready.
builder.AddNpgsqlDataSource(ConnectionNames.Rules, settings => settings.DisableHealthChecks = true);
builder.AddMessaging();
builder.AddEntities();
builder.AddApi();
builder.AddFrontDoor();

var app = builder.Build();
app.UseFrontDoor();
app.UseProblems();
app.MapServiceDefaults();
app.MapMessages();
app.MapBatches();
await app.RunAsync();
