using System.Text;

namespace CoFrGeNet.Text;

/// <summary>Puts together what GPT-2's and Hugging Face's files share: a vocabulary and merges, both spelled in <see cref="ByteSymbols"/>.</summary>
internal sealed class BytePairVocabularyBuilder
{
    // A gap larger than this between ids is a damaged file, not a vocabulary.
    private const int MostIds = 1 << 22;

    private readonly string _source;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly List<BytePairMerge> _merges = [];
    private readonly HashSet<string> _plain = new(StringComparer.Ordinal);

    /// <summary>Begins an empty vocabulary.</summary>
    /// <param name="source">The file, for messages.</param>
    public BytePairVocabularyBuilder(string source) => _source = source;

    /// <summary>The merges, in their order.</summary>
    public IReadOnlyList<BytePairMerge> Merges => _merges;

    /// <summary>Adds a token.</summary>
    /// <exception cref="UserErrorException">The id is out of range or the token is there twice.</exception>
    public void AddToken(string spelling, int id)
    {
        if (id is < 0 or >= MostIds || !_ids.TryAdd(spelling, id))
        {
            throw new UserErrorException($"{_source}: the token '{spelling}' has the id {id}; each token has one id, 0 to {MostIds - 1}");
        }
    }

    /// <summary>The id of a token, or null.</summary>
    public int? Find(string spelling) => _ids.TryGetValue(spelling, out var id) ? id : null;

    /// <summary>Says that a token is spelled as it is read, not byte by byte: an added token.</summary>
    public void SetPlain(string spelling) => _plain.Add(spelling);

    /// <summary>Adds a merge of "left right".</summary>
    /// <exception cref="UserErrorException">It is not two tokens whose joined spelling is a token.</exception>
    public void AddMerge(string pair)
    {
        var space = pair.IndexOf(' ', StringComparison.Ordinal);
        if (space <= 0)
        {
            throw new UserErrorException($"{_source}: the merge '{pair}' is not two tokens with a space between them");
        }

        AddMerge(pair[..space], pair[(space + 1)..]);
    }

    /// <summary>Adds a merge.</summary>
    /// <exception cref="UserErrorException">It is not two tokens whose joined spelling is a token.</exception>
    public void AddMerge(string left, string right)
    {
        if (Find(left) is { } leftId && Find(right) is { } rightId && Find(left + right) is { } merged)
        {
            _merges.Add(new BytePairMerge(leftId, rightId, merged, _merges.Count));
            return;
        }

        var missing = Find(left) is null ? left : Find(right) is null ? right : left + right;
        throw new UserErrorException($"{_source}: the merge '{left} {right}' needs the token '{missing}', which the vocabulary lacks");
    }

    /// <summary>The bytes of every token by id.</summary>
    /// <exception cref="UserErrorException">A spelling is not one of a byte-level vocabulary.</exception>
    public byte[]?[] Tokens()
    {
        var tokens = new byte[]?[_ids.Count == 0 ? 0 : _ids.Values.Max() + 1];
        foreach (var (spelling, id) in _ids)
        {
            if (tokens[id] is not null)
            {
                throw new UserErrorException($"{_source}: two tokens have the id {id}, one of them '{spelling}'");
            }

            tokens[id] = _plain.Contains(spelling)
                ? Encoding.UTF8.GetBytes(spelling)
                : ByteSymbols.ToBytes(spelling) ?? throw new UserErrorException(
                    $"{_source}: the token '{spelling}' is not spelled byte by byte as GPT-2 does; only byte-level BPE can be read");
        }

        return tokens;
    }
}
