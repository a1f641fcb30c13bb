using System.Security.Cryptography;
using System.Text;

namespace CoFrGeNet.Server;

/// <summary>The keys that are let in. Only their hashes are kept, and comparing takes the same time whatever is sent.</summary>
internal sealed class ApiKeys
{
    private readonly byte[][] _hashes;

    /// <summary>Keeps the keys' hashes.</summary>
    public ApiKeys(IEnumerable<string> keys) => _hashes = [.. keys.Select(Hash)];

    /// <summary>Whether a key is needed at all.</summary>
    public bool AreRequired => _hashes.Length > 0;

    /// <summary>Whether an Authorization header carries one of the keys.</summary>
    /// <param name="header">The header, or null.</param>
    public bool Admit(string? header)
    {
        const string scheme = "Bearer ";
        if (!AreRequired)
        {
            return true;
        }

        var hash = Hash(header is not null && header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) ? header[scheme.Length..].Trim() : string.Empty);
        var admitted = false;
        foreach (var known in _hashes)
        {
            admitted |= CryptographicOperations.FixedTimeEquals(known, hash);
        }

        return admitted;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
