namespace CoFrGeNet.Text;

/// <summary>Finds the merges of vocabularies that come without them: the ids say which token was made first.</summary>
internal static class BytePairMerges
{
    /// <summary>The one merge that made each token: of the two parts into which the merges before it turn its bytes.</summary>
    /// <param name="tokens">The bytes of every token, in merge order.</param>
    public static List<BytePairMerge> InOrder(byte[][] tokens)
    {
        var merges = new List<BytePairMerge>(tokens.Length);
        var merger = new BytePairMerger(tokens, unknownId: null, tokens.Length, tokens.Length);
        Span<int> parts = stackalloc int[BytePairMerger.ShortPieceBytes];
        for (var id = 0; id < tokens.Length; id++)
        {
            var token = tokens[id];
            if (token.Length == 1)
            {
                continue;
            }

            if (token.Length > parts.Length || merger.Merge(token, parts) != 2)
            {
                throw new InvalidOperationException($"token {id} is not the merge of two earlier tokens");
            }

            merges.Add(new BytePairMerge(parts[0], parts[1], id, id));
            merger.Add(merges[^1]);
        }

        return merges;
    }

    /// <summary>Every pair of tokens that joined is a token, ranked by that token's id, as tiktoken merges.</summary>
    /// <param name="tokens">The bytes of every token by id.</param>
    public static List<BytePairMerge> AllSplits(byte[]?[] tokens)
    {
        var merges = new List<BytePairMerge>(tokens.Length * 2);
        var lookup = new TokenLookup(tokens);
        for (var id = 0; id < tokens.Length; id++)
        {
            ReadOnlySpan<byte> token = tokens[id];
            for (var cut = 1; cut < token.Length; cut++)
            {
                if (lookup.Find(token[..cut]) is var left and >= 0 && lookup.Find(token[cut..]) is var right and >= 0)
                {
                    merges.Add(new BytePairMerge(left, right, id, id));
                }
            }
        }

        return merges;
    }
}
