using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionApi;
using RuleEngineNats.IngestionApi.Batches;
using RuleEngineNats.IngestionApi.DeadLetters;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Limits;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Status;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder([.. args.Where(argument => argument != EntityCheck.Argument)]);
if (args.Contains(EntityCheck.Argument))
{
    return EntityCheck.Run(builder.Configuration[EntityCheck.FolderSetting] ?? "", Console.Out);
}

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
app.UseApi();
app.MapServiceDefaults();
app.MapMessages();
app.MapBatches();
app.MapStatus();
app.MapDeadLetters();
app.MapHealth();
await app.RunAsync();
return 0;
