using RuleEngineNats.DeliveryWorker;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);

builder.AddServiceDefaults();
builder.AddNpgsqlDataSource("rules");
builder.AddMessaging();
builder.AddDelivery();

var app = builder.Build();

app.MapServiceDefaults();

await app.RunAsync();
