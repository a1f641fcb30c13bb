namespace CoFrGeNet.Text;

/// <summary>A source of documents.</summary>
public interface ICorpus
{
    /// <summary>A short name, fit for a run's configuration and for messages.</summary>
    public string Name { get; }

    /// <summary>One line: what the text is and where it was found.</summary>
    public string Description { get; }

    /// <summary>Reads the documents, in the same order on every call as long as the source does not change.</summary>
    /// <returns>The documents, read while they are enumerated.</returns>
    /// <exception cref="UserErrorException">
    /// The source is missing or unusable; thrown on the call or while enumerating.
    /// </exception>
    public IEnumerable<Document> ReadDocuments();
}
