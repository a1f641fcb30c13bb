using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Answers that a model has given, in a file of JSON lines to which each batch is appended at once, so that a killed evaluation goes on
/// where it was. The first line names the model; a file of another model is not taken.
/// </summary>
public sealed class RequestCache : IDisposable
{
    private readonly Dictionary<string, RequestScore> _scores = [];
    private readonly FileStream? _file;

    /// <summary>Creates a cache that is gone with the process.</summary>
    public RequestCache()
    {
    }

    /// <summary>Opens or creates a cache in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">What identifies the model: a hash of its weights and configuration.</param>
    /// <exception cref="UserErrorException">The file holds answers of another model, or cannot be opened.</exception>
    public RequestCache(string path, string model)
    {
        try
        {
            _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            Load(model, path);
            _file.SetLength(_file.Position);
            if (_file.Length == 0)
            {
                _file.Write(Encoding.UTF8.GetBytes(new JsonObject { ["model"] = model }.ToJsonString() + "\n"));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _file?.Dispose();
            throw new UserErrorException($"The answers of earlier evaluations in {path} cannot be used ({e.Message.TrimEnd('.')}); give another --output_path.", e);
        }
        catch
        {
            _file?.Dispose();
            throw;
        }
    }

    /// <summary>Number of answers.</summary>
    public int Count => _scores.Count;

    /// <summary>Looks for an answer.</summary>
    /// <param name="key">The question.</param>
    /// <param name="score">The answer.</param>
    public bool TryGet(string key, out RequestScore score) => _scores.TryGetValue(key, out score);

    /// <summary>Keeps answers; on return they are out of the process.</summary>
    /// <param name="answers">Questions and answers.</param>
    public void Add(IEnumerable<(string Key, RequestScore Score)> answers)
    {
        var lines = new StringBuilder();
        foreach (var (key, score) in answers)
        {
            _scores[key] = score;
            lines.Append(new JsonObject { ["k"] = key, ["ll"] = score.LogLikelihood, ["greedy"] = score.IsGreedy, ["n"] = score.Tokens }.ToJsonString()).Append('\n');
        }

        if (_file is not null)
        {
            _file.Write(Encoding.UTF8.GetBytes(lines.ToString()));
            _file.Flush();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();

    // Leaves the position after the last whole line: a killed process may have left a part of one.
    private void Load(string model, string path)
    {
        var bytes = new byte[_file!.Length];
        _file.ReadExactly(bytes);
        var start = 0;
        for (var end = Array.IndexOf(bytes, (byte)'\n'); end >= 0; end = Array.IndexOf(bytes, (byte)'\n', start))
        {
            if (Parse(bytes.AsSpan(start, end - start)) is not { } line)
            {
                break;
            }

            if (start == 0 && line["model"]?.ToString() != model)
            {
                throw new UserErrorException($"{path} holds answers of another model; give another --output_path.");
            }

            if (line["k"] is { } key)
            {
                _scores[key.ToString()] = new RequestScore((double)line["ll"]!, (bool)line["greedy"]!, (int)line["n"]!);
            }

            start = end + 1;
        }

        _file.Position = start;
    }

    private static JsonObject? Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
