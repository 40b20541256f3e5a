using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Keys;
using RuleEngineNats.PublishService.Limits;
using RuleEngineNats.PublishService.Publishing;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddNpgsqlDataSource(ConnectionNames.Rules, configureDataSourceBuilder: MessageKeysRegistration.Prepare);
builder.AddMessaging();
builder.AddPublishLimits();
builder.AddMessageKeys();
builder.AddPublishing();

var app = builder.Build();
app.MapServiceDefaults();
app.MapPublishing();
app.Run();
