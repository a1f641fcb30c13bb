using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CoFrGeNet.Client;

/// <summary>
/// Completions with log-probabilities from <c>cofrgenet serve</c>, or any server of the same form. May be used by several threads at once.
/// </summary>
public sealed class CompletionsClient
{
    private readonly HttpClient _http;
    private readonly AuthenticationHeaderValue? _authorization;

    /// <summary>Creates the client.</summary>
    /// <param name="http">Its base address is the server's, for example <c>http://127.0.0.1:8080/</c>; without <c>v1</c>. It is not disposed.</param>
    /// <param name="apiKey">The key, where the server asks for one.</param>
    public CompletionsClient(HttpClient http, string? apiKey = null)
    {
        ArgumentNullException.ThrowIfNull(http);
        _http = http;
        _authorization = apiKey is null ? null : new AuthenticationHeaderValue("Bearer", apiKey);
    }

    /// <summary>Continues prompts.</summary>
    /// <param name="request">The request; <see cref="CompletionRequest.Stream"/> is taken as false.</param>
    /// <param name="cancellationToken">Gives up; the server then stops computing.</param>
    /// <returns>All choices.</returns>
    /// <exception cref="ServerErrorException">The server refused or failed.</exception>
    /// <exception cref="HttpRequestException">The server cannot be reached.</exception>
    public async Task<CompletionResponse> CompleteAsync(CompletionRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var response = await SendAsync(request with { Stream = null, StreamOptions = null }, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, WireJson.Default.CompletionResponse, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Continues prompts, piece by piece.</summary>
    /// <param name="request">The request; <see cref="CompletionRequest.Stream"/> is taken as true.</param>
    /// <param name="cancellationToken">Gives up; the server then stops computing. So does leaving the loop.</param>
    /// <returns>The chunks as they come; choices of several prompts come interleaved.</returns>
    /// <exception cref="ServerErrorException">The server refused or failed, perhaps in the middle.</exception>
    /// <exception cref="HttpRequestException">The server cannot be reached, or the connection broke before the end.</exception>
    public async IAsyncEnumerable<CompletionResponse> StreamAsync(CompletionRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var response = await SendAsync(request with { Stream = true }, cancellationToken).ConfigureAwait(false);
        using var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (item.Data == "[DONE]")
            {
                yield break;
            }

            if (JsonSerializer.Deserialize(item.Data, WireJson.Default.ErrorResponse) is { Error: { } error })
            {
                throw new ServerErrorException(response.StatusCode, error);
            }

            yield return JsonSerializer.Deserialize(item.Data, WireJson.Default.CompletionResponse)!;
        }

        throw new HttpRequestException("The stream broke off before its end.");
    }

    /// <summary>Lists the models that are served.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ServerErrorException">The server refused or failed.</exception>
    public Task<ModelList> ListModelsAsync(CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Get, "v1/models", null, WireJson.Default.ModelList, cancellationToken);

    /// <summary>Turns a text into token ids.</summary>
    /// <param name="request">The text.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ServerErrorException">The server refused or failed.</exception>
    public Task<TokenizeResponse> TokenizeAsync(TokenizeRequest request, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, "tokenize", JsonContent.Create(request, WireJson.Default.TokenizeRequest), WireJson.Default.TokenizeResponse, cancellationToken);

    /// <summary>Turns token ids into a text.</summary>
    /// <param name="request">The ids.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ServerErrorException">The server refused or failed.</exception>
    public Task<DetokenizeResponse> DetokenizeAsync(DetokenizeRequest request, CancellationToken cancellationToken = default) =>
        SendAsync(HttpMethod.Post, "detokenize", JsonContent.Create(request, WireJson.Default.DetokenizeRequest), WireJson.Default.DetokenizeResponse, cancellationToken);

    private Task<HttpResponseMessage> SendAsync(CompletionRequest request, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, "v1/completions", JsonContent.Create(request, RequestJson.Default.CompletionRequest), cancellationToken);

    private async Task<T> SendAsync<T>(HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method, path, content, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, type, cancellationToken).ConfigureAwait(false);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(method, path) { Content = content };
        message.Headers.Authorization = _authorization;
        var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw new ServerErrorException(response.StatusCode, await ReadErrorAsync(response, cancellationToken).ConfigureAwait(false));
        }
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        await response.Content.ReadFromJsonAsync(type, cancellationToken).ConfigureAwait(false) ?? throw new HttpRequestException("The server answered null.");

    private static async Task<ErrorDetail> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var text = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (JsonSerializer.Deserialize(text, WireJson.Default.ErrorResponse) is { Error: { } error })
            {
                return error;
            }
        }
        catch (JsonException)
        {
            // A proxy answers in its own form.
        }

        return new ErrorDetail($"The server answered {(int)response.StatusCode} {response.ReasonPhrase}.", null, null, null);
    }
}
