using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RuleEngineNats.SchemaMigrator;
using RuleEngineNats.ServiceDefaults;

// ConnectionStrings__rules says where; --verify applies everything again inside a transaction that is rolled back and
// fails if that would change anything. The exit code is the MigrationOutcome.
var builder = Host.CreateApplicationBuilder(args);
builder.AddServiceDefaults();
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddSingleton<MigrateDatabase>();

using var host = builder.Build();
await host.StartAsync();
var stopping = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
var outcome = await host.Services.GetRequiredService<MigrateDatabase>().RunAsync(args.Contains("--verify"), stopping);
await host.StopAsync();
return (int)outcome;
