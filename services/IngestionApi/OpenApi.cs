using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi;

/// <summary>What the OpenAPI document says of a route beyond its signature.</summary>
internal static class OpenApi
{
    private const string Integer32 = "int32";

    /// <summary>Names the statuses that a route answers with problem details.</summary>
    public static RouteHandlerBuilder WithProblems(this RouteHandlerBuilder route, params int[] statuses)
    {
        foreach (var status in statuses)
        {
            route.Produces<Problem>(status, Problem.ContentType);
        }

        return route;
    }

    /// <summary>Describes a parameter of the path or the query.</summary>
    public static RouteHandlerBuilder WithParameter(this RouteHandlerBuilder route, string name, string description, (int Minimum, int Maximum)? integer = null)
        => route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            if (operation.Parameters?.FirstOrDefault(candidate => candidate.Name == name) is OpenApiParameter parameter)
            {
                parameter.Description = description;
                parameter.Schema = integer is var (minimum, maximum) ? Integer(minimum, maximum) : parameter.Schema;
            }

            return Task.CompletedTask;
        });

    /// <summary>Adds a parameter that the handler reads by itself.</summary>
    public static RouteHandlerBuilder WithHeader(this RouteHandlerBuilder route, string name, string description, string example)
        => route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            operation.Parameters ??= [];
            operation.Parameters.Add(new OpenApiParameter
            {
                Name = name,
                In = ParameterLocation.Header,
                Description = description,
                Schema = new OpenApiSchema { Type = JsonSchemaType.String, MaxLength = 255 },
                Example = JsonValue.Create(example),
            });
            return Task.CompletedTask;
        });

    /// <summary>Describes the entity in a path.</summary>
    public static RouteHandlerBuilder WithEntityPath(this RouteHandlerBuilder route) => route.AddOpenApiOperationTransformer((operation, _, _) =>
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = Messages.ClientTerms.PathParameter,
            In = ParameterLocation.Path,
            Required = true,
            Description = "The entity that the documents are: its name or prefix.",
            Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            Example = JsonValue.Create("Order"),
        });
        return Task.CompletedTask;
    });

    /// <summary>Describes a body that the handler reads by itself, with an example for each media type.</summary>
    public static RouteHandlerBuilder WithRawBody(this RouteHandlerBuilder route, string description, bool required, params (string MediaType, string Example)[] forms)
        => route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Description = description,
                Required = required,
                Content = forms.ToDictionary(form => form.MediaType, form => new OpenApiMediaType
                {
                    Schema = new OpenApiSchema { Description = description },
                    Example = form.MediaType == RequestMedia.Json ? JsonNode.Parse(form.Example) : JsonValue.Create(form.Example),
                }),
            };
            return Task.CompletedTask;
        });

    /// <summary>Gives a successful answer an example.</summary>
    public static RouteHandlerBuilder WithAnswer(this RouteHandlerBuilder route, int status, string description, string example, string mediaType = RequestMedia.Json)
        => route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            operation.Responses ??= [];
            var response = operation.Responses.TryGetValue(Text(status), out var existing) && existing is OpenApiResponse known ? known : new OpenApiResponse();
            response.Description = description;
            response.Content ??= new Dictionary<string, OpenApiMediaType>();
            if (!response.Content.TryGetValue(mediaType, out var media))
            {
                response.Content[mediaType] = media = new OpenApiMediaType { Schema = new OpenApiSchema { Description = description } };
            }

            media.Example = mediaType == RequestMedia.Json ? JsonNode.Parse(example) : JsonValue.Create(example);
            operation.Responses[Text(status)] = response;
            return Task.CompletedTask;
        });

    private static string Text(int status) => status.ToString(CultureInfo.InvariantCulture);

    private static OpenApiSchema Integer(int minimum, int maximum) => new()
    {
        Type = JsonSchemaType.Integer,
        Format = Integer32,
        Minimum = minimum.ToString(CultureInfo.InvariantCulture),
        Maximum = maximum.ToString(CultureInfo.InvariantCulture),
    };
}
