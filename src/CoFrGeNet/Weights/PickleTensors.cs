using System.Globalization;

namespace CoFrGeNet.Weights;

/// <summary>The tensors and plain values in what a pickle held, by their path.</summary>
/// <param name="Infos">The tensors.</param>
/// <param name="Views">The same tensors as views of their storages.</param>
/// <param name="Values">Numbers, texts and truth values.</param>
internal sealed record PickleTensors(IReadOnlyList<TensorInfo> Infos, Dictionary<string, PickleTensor> Views, Dictionary<string, string> Values)
{
    private const int MaxDepth = 32;

    // The same container may be reached on many paths, so that a short pickle could unfold without end.
    private const int MaxValues = 200_000;
    private const long MaxNameCharacters = 8 << 20;

    /// <summary>Flattens a value.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="value">What <see cref="PickleMachine.Read"/> returned.</param>
    /// <exception cref="WeightsFormatException">Two tensors have one name, or it is nested too deep or too wide.</exception>
    public static PickleTensors Of(string path, object? value)
    {
        var content = new PickleTensors(new List<TensorInfo>(), new(StringComparer.Ordinal), new(StringComparer.Ordinal));
        var budget = new Budget();
        content.Visit(path, string.Empty, value, 0, budget);
        return content;
    }

    private void Visit(string path, string name, object? value, int depth, Budget budget)
    {
        if (depth > MaxDepth || ++budget.Values > MaxValues || (budget.Characters += name.Length) > MaxNameCharacters)
        {
            throw new WeightsFormatException(path, $"the pickle is nested deeper than {MaxDepth} levels or unfolds to more than {MaxValues} values");
        }

        switch (value)
        {
            case PickleTensor tensor:
                Add(path, name, tensor);
                break;
            case PickleDictionary dictionary:
                foreach (var (key, entry) in dictionary.Entries)
                {
                    Visit(path, Join(name, Name(path, key)), entry, depth + 1, budget);
                }

                break;
            case PickleList { Items: var items }:
                VisitItems(path, name, items, depth, budget);
                break;
            case PickleTuple { Items: var items }:
                VisitItems(path, name, items, depth, budget);
                break;
            case string or bool or long or double:
                Values[name] = string.Create(CultureInfo.InvariantCulture, $"{value}");
                break;
        }
    }

    private void VisitItems(string path, string name, IReadOnlyList<object?> items, int depth, Budget budget)
    {
        for (var i = 0; i < items.Count; i++)
        {
            Visit(path, Join(name, i.ToString(CultureInfo.InvariantCulture)), items[i], depth + 1, budget);
        }
    }

    private void Add(string path, string name, PickleTensor tensor)
    {
        if (!Views.TryAdd(name, tensor))
        {
            throw new WeightsFormatException(path, $"two tensors have the name '{SafeTensorsHeader.Shorten(name)}'");
        }

        var (type, size) = (tensor.Storage.DType, tensor.Storage.DType.SizeInBytes());
        var elements = tensor.Shape.Aggregate(1L, (product, extent) => product * extent);
        ((List<TensorInfo>)Infos).Add(new TensorInfo(name, type, tensor.Shape, tensor.Offset * size, elements * size));
    }

    private static string Join(string name, string key) => name.Length == 0 ? key : $"{name}.{key}";

    private static string Name(string path, object? key) => key switch
    {
        string text => text,
        long or bool or double => string.Create(CultureInfo.InvariantCulture, $"{key}"),
        _ => throw new WeightsFormatException(path, "a dictionary of the pickle has keys that are neither texts nor numbers"),
    };

    private sealed class Budget
    {
        public int Values { get; set; }

        public long Characters { get; set; }
    }
}
