using System.Collections.Concurrent;
using System.Text;
using System.Xml;

namespace CoFrGeNet.Text;

/// <summary>
/// The XML documentation of the .NET SDK as English prose: the summaries and remarks of the newest Microsoft.NETCore.App and
/// Microsoft.AspNetCore.App reference packs, markup taken out. It lies on every machine that can build this program.
/// <para>
/// A document holds the texts of one family of types, one a line: a type, its nested types, its interface and the types of its
/// namespace that differ by a number or by generic arity only (Vector128 and Vector256, IList and List). A text that was seen before is
/// dropped, and so is one that differs from a text of another family in names and numbers only: cutting by document then
/// keeps sentences made from one template out of training and validation text both. Left out are the processor intrinsics,
/// whose texts are C signatures and instructions.
/// </para>
/// </summary>
public sealed class SdkDocumentationCorpus : ICorpus
{
    private static readonly string[] IntrinsicNamespaces =
    [
        "System.Runtime.Intrinsics.Arm.", "System.Runtime.Intrinsics.X86.", "System.Runtime.Intrinsics.Wasm.",
    ];

    private readonly IReadOnlyList<string>? _roots;

    /// <summary>The corpus of the installation that this program finds.</summary>
    public SdkDocumentationCorpus()
    {
    }

    /// <summary>The corpus of an installation in one of several places.</summary>
    /// <param name="roots">Folders that hold <c>packs</c>, best first; the first with documentation is used.</param>
    public SdkDocumentationCorpus(IReadOnlyList<string> roots)
    {
        ArgumentNullException.ThrowIfNull(roots);
        _roots = roots;
    }

    /// <inheritdoc/>
    public string Name => "dotnet-sdk-documentation";

    /// <inheritdoc/>
    public string Description => "prose of the .NET SDK's XML documentation (summaries and remarks, markup taken out)";

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">No documentation was found, or a file of it is damaged.</exception>
    public IEnumerable<Document> ReadDocuments()
    {
        var files = FindFiles();
        var texts = new List<(string Member, string Text)>[files.Count];

        // The largest file takes a third of the time, so it must not start last.
        var order = Enumerable.Range(0, files.Count).OrderByDescending(i => new FileInfo(files[i]).Length).ToArray();
        var damaged = new ConcurrentBag<(string File, Exception Error)>();
        Parallel.ForEach(Partitioner.Create(order, loadBalance: true), i =>
        {
            try
            {
                texts[i] = DocumentationProse.Read(files[i]);
            }
            catch (Exception e) when (e is XmlException or IOException or UnauthorizedAccessException)
            {
                damaged.Add((files[i], e));
            }
        });
        if (damaged.OrderBy(d => d.File, StringComparer.Ordinal).FirstOrDefault() is (var file, { } error))
        {
            throw new UserErrorException($"cannot read the SDK's documentation '{file}': {error.Message}; pass --data instead", error);
        }

        return Group([.. texts.SelectMany(file => file)]);
    }

    /// <summary>The name that a member's type shares with its family.</summary>
    /// <param name="member">For example "M:System.Collections.Generic.IList`1.Insert(System.Int32,`0)".</param>
    /// <param name="types">The full names of all types, to tell nested types from namespaces.</param>
    /// <returns>For example "System.Collections.Generic.List".</returns>
    internal static string Family(string member, IReadOnlySet<string> types)
    {
        var isType = member.StartsWith("T:", StringComparison.Ordinal);
        var name = member.Length > 2 && member[1] == ':' ? member[2..] : member;
        name = name.Split('(', '~')[0];
        if (!isType && name.LastIndexOf('.') is var dot and > 0)
        {
            name = name[..dot];
        }

        while (name.LastIndexOf('.') is var outer and > 0 && types.Contains(name[..outer]))
        {
            name = name[..outer];
        }

        var start = name.LastIndexOf('.') + 1;
        var type = new string([.. name[start..].Split('`')[0].Where(c => !char.IsAsciiDigit(c))]);
        if (type.Length > 2 && type[0] == 'I' && char.IsAsciiLetterUpper(type[1]) && char.IsAsciiLetterLower(type[2]))
        {
            type = type[1..];
        }

        return name[..start] + type;
    }

    private static List<Document> Group(List<(string Member, string Text)> texts)
    {
        var types = texts
            .Where(text => text.Member.StartsWith("T:", StringComparison.Ordinal))
            .Select(text => text.Member[2..])
            .ToHashSet(StringComparer.Ordinal);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var familyOfTemplate = new Dictionary<string, string>(StringComparer.Ordinal);
        var families = new Dictionary<string, StringBuilder>(StringComparer.Ordinal);
        foreach (var (member, text) in texts)
        {
            if (!seen.Add(text) || IntrinsicNamespaces.Any(space => member.AsSpan(Math.Min(2, member.Length)).StartsWith(space)))
            {
                continue;
            }

            var family = Family(member, types);
            var template = SentenceTemplate.Of(text);
            if (familyOfTemplate.TryGetValue(template, out var owner) && owner != family)
            {
                continue;
            }

            familyOfTemplate[template] = family;
            if (!families.TryGetValue(family, out var prose))
            {
                families.Add(family, prose = new StringBuilder());
            }

            prose.Append(text).Append('\n');
        }

        return [.. families.OrderBy(f => f.Key, StringComparer.Ordinal).Select(f => new Document(f.Key, f.Value.ToString()))];
    }

    /// <summary>Finds the documentation files without reading them.</summary>
    /// <returns>Their paths; at least one.</returns>
    /// <exception cref="UserErrorException">There are none; the message says where was looked.</exception>
    public IReadOnlyList<string> FindFiles()
    {
        var roots = _roots ?? DotnetSdk.Roots();
        foreach (var root in roots)
        {
            if (DotnetSdk.DocumentationFiles(root) is { Count: > 0 } files)
            {
                return files;
            }
        }

        throw new UserErrorException(
            $"no .NET SDK documentation (packs/Microsoft.NETCore.App.Ref/*/ref/net*/*.xml) under {string.Join(", ", roots)}; "
            + "pass --data with a text file or folder instead");
    }
}
