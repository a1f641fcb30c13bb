using System.Net;

namespace CoFrGeNet.Client;

/// <summary>The server refused a request or failed.</summary>
public sealed class ServerErrorException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="status">The status code; 200 for an error in the middle of a stream.</param>
    /// <param name="error">What the server said.</param>
    public ServerErrorException(HttpStatusCode status, ErrorDetail error)
        : base(error.Message)
    {
        Status = status;
        Error = error;
    }

    /// <summary>The status code; 200 for an error in the middle of a stream.</summary>
    public HttpStatusCode Status { get; }

    /// <summary>What the server said.</summary>
    public ErrorDetail Error { get; }
}
