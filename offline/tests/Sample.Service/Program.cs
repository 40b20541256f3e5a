// Says what it was started with, so that tests can ask from outside what a child finds inside.
var app = WebApplication.CreateBuilder(args).Build();
var isReady = true;

app.MapGet("/environment", static () => Environment.GetEnvironmentVariables());
app.MapGet("/process", static () => Environment.ProcessId);
app.MapGet("/directory", static () => Environment.CurrentDirectory);
app.MapGet("/health/ready", () => isReady ? Results.Ok() : Results.StatusCode(StatusCodes.Status503ServiceUnavailable));
app.MapPost("/ready/{value}", (bool value) => isReady = value);
app.Run();
