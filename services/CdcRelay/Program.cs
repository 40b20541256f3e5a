using RuleEngineNats.CdcRelay;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddNpgsqlDataSource("rules");
builder.AddMessaging();
builder.AddOutbox();
builder.AddCaptures();

var app = builder.Build();
app.MapHealthEndpoints();
await app.RunAsync();
