using Microsoft.OpenApi;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Streams;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService;

/// <summary>What all routes share: JSON, limits, problems and the OpenAPI document.</summary>
internal static class Api
{
    public const string Json = "application/json";

    public static void AddApi(this WebApplicationBuilder builder)
    {
        var options = builder.Configuration.GetSection(ConfigServiceOptions.Section).Get<ConfigServiceOptions>() ?? new();
        builder.Services.AddOptions<ConfigServiceOptions>().BindConfiguration(ConfigServiceOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddEgress();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxRequestBodyBytes;
        });
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ConfigJson.Default));
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.AddSingleton(new ProblemTexts("/openapi/v1.json", "ConfigService:MaxRequestBodyBytes"));
        builder.Services.AddExceptionHandler<ExceptionProblems>();
        builder.Services.AddOpenApi("v1", openApi =>
        {
            openApi.AddDocumentTransformer((document, _, _) =>
            {
                document.Info = new OpenApiInfo
                {
                    Title = "RuleEngineNats configuration",
                    Version = "v1",
                    Description = "Webhooks, NATS connections, JetStream streams and publish statistics. Errors are RFC 9457 problem details; all problems of a request are reported at once.",
                };
                return Task.CompletedTask;
            });
            openApi.AddSchemaTransformer((schema, context, _) =>
            {
                string[]? required = context.JsonTypeInfo.Type == typeof(CreateWebhook.Request) ? ["name", "url"]
                    : context.JsonTypeInfo.Type == typeof(CreateStream.Request) ? ["name", "subjects"]
                    : context.JsonTypeInfo.Type == typeof(Secrets.SetSecret.Request) ? ["value"]
                    : context.JsonTypeInfo.Type == typeof(Connections.PutConnection.Request) ? ["url"]
                    : null;
                if (required is not null)
                {
                    schema.Required = new HashSet<string>(required);
                }

                return Task.CompletedTask;
            });
        });
    }

    /// <summary>Says in the OpenAPI document which statuses a route answers with problem details. 400 and 503 are possible everywhere.</summary>
    public static RouteHandlerBuilder WithProblems(this RouteHandlerBuilder route, params int[] statuses)
    {
        foreach (var status in (int[])[400, .. statuses, 503])
        {
            route.Produces<Problem>(status, Problem.ContentType);
        }

        return route;
    }

    /// <summary>Names the JSON body in the OpenAPI document; routing answers another media type with 415.</summary>
    public static RouteHandlerBuilder WithBody<TBody>(this RouteHandlerBuilder route, bool optional = false, params string[] further)
        where TBody : notnull
        => route.Accepts<TBody>(optional, Json, further).WithProblems(413, 415);

    /// <summary>Describes a parameter of the path or the query.</summary>
    public static RouteHandlerBuilder WithParameter(this RouteHandlerBuilder route, string name, string description, (int Minimum, int Maximum)? integer = null)
        => route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            if (operation.Parameters?.FirstOrDefault(candidate => candidate.Name == name) is OpenApiParameter parameter)
            {
                parameter.Description = description;
                if (integer is var (minimum, maximum))
                {
                    parameter.Schema = new OpenApiSchema
                    {
                        Type = JsonSchemaType.Integer,
                        Format = "int32",
                        Minimum = minimum.ToString(System.Globalization.CultureInfo.InvariantCulture),
                        Maximum = maximum.ToString(System.Globalization.CultureInfo.InvariantCulture),
                    };
                }
            }

            return Task.CompletedTask;
        });
}
