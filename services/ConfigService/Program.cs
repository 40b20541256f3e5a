using RuleEngineNats.ConfigService;
using RuleEngineNats.ConfigService.Administration;
using RuleEngineNats.ConfigService.Connections;
using RuleEngineNats.ConfigService.DeadLetters;
using RuleEngineNats.ConfigService.Pool;
using RuleEngineNats.ConfigService.Replays;
using RuleEngineNats.ConfigService.Secrets;
using RuleEngineNats.ConfigService.Statistics;
using RuleEngineNats.ConfigService.Streams;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddNpgsqlDataSource(ConnectionNames.Rules);
builder.AddMessaging();
builder.AddApi();
builder.AddStreamOwner();
builder.AddSecrets();
builder.AddAdministration();

var app = builder.Build();
app.UseProblems();
app.MapServiceDefaults();
app.MapOpenApi();

var api = app.MapGroup("/api/v1");
api.MapWebhooks();
api.MapSecrets();
api.MapConnections();
api.MapStreams();
api.MapStatistics();
api.MapPool();
api.MapDeadLetters();
api.MapReplays();
app.MapAdministration();

await app.RunAsync();
