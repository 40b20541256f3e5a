using RuleEngineNats.Contracts;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder([.. args.Where(argument => argument != EntityCheck.Argument)]);
if (args.Contains(EntityCheck.Argument))
{
    return EntityCheck.Run(builder.Configuration[EntityCheck.FolderSetting] ?? "", Console.Out);
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
