using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddNpgsqlDataSource(ConnectionNames.Rules);
builder.AddMessaging();
builder.Services.AddIngestStreams();

var app = builder.Build();
app.MapServiceDefaults();
await app.RunAsync();
