using CoFrGeNet.Client;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace CoFrGeNet.Server;

/// <summary>What the types of the wire do not say of themselves in the OpenAPI document.</summary>
internal static class ApiDescription
{
    private const string Bearer = "bearer";

    /// <summary>Completes the document.</summary>
    /// <param name="api">Its options.</param>
    /// <param name="server">The server's.</param>
    public static void Complete(OpenApiOptions api, ServerOptions server)
    {
        api.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo { Title = "CoFrGeNet", Version = "1", Description = "Text generation in OpenAI's form, with vLLM's extensions. With stream: true an answer is text/event-stream." };
            if (server.ApiKeys.Count > 0)
            {
                document.Components ??= new OpenApiComponents();
                document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme> { [Bearer] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = Bearer } };
                document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
            }

            return Task.CompletedTask;
        });
        api.AddSchemaTransformer((schema, context, _) =>
        {
            // Read by converters of their own, of which the document knows nothing.
            if (context.JsonTypeInfo.Type == typeof(PromptInput))
            {
                schema.AnyOf = [Text, List(Text), List(Id), List(List(Id))];
            }
            else if (context.JsonPropertyInfo is { Name: "stop" })
            {
                schema.AnyOf = [Text, List(Text)];
            }
            else if (context.JsonPropertyInfo is { Name: "content" } && context.JsonPropertyInfo.DeclaringType == typeof(ChatMessage))
            {
                schema.AnyOf = [Text, List(new OpenApiSchema { Type = JsonSchemaType.Object })];
            }

            return Task.CompletedTask;
        });
    }

    private static OpenApiSchema Text => new() { Type = JsonSchemaType.String };

    private static OpenApiSchema Id => new() { Type = JsonSchemaType.Integer };

    private static OpenApiSchema List(OpenApiSchema item) => new() { Type = JsonSchemaType.Array, Items = item };
}
