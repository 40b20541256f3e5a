using RuleEngineNats.AuditLog;
using RuleEngineNats.Consumers;
using RuleEngineNats.Messaging;
using RuleEngineNats.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);

builder.AddServiceDefaults();
builder.AddNpgsqlDataSource("rules");
builder.AddMessaging();
builder.AddEventConsumer<AuditOrders, OrderChanged>("webhooks.orders.>", consumer: "audit-log");

var app = builder.Build();

app.MapServiceDefaults();

await app.RunAsync();
