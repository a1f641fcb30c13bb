namespace CoFrGeNet.Server;

/// <summary>A request that is answered with an error in OpenAI's form.</summary>
internal sealed class ApiException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="status">The status code.</param>
    /// <param name="message">One line: what was given, what is allowed.</param>
    /// <param name="code">A word for programs.</param>
    /// <param name="param">The member at fault.</param>
    public ApiException(int status, string message, string? code = null, string? param = null)
        : base(message)
    {
        Status = status;
        Code = code;
        Param = param;
    }

    /// <summary>The status code.</summary>
    public int Status { get; }

    /// <summary>A word for programs.</summary>
    public string? Code { get; }

    /// <summary>The member at fault.</summary>
    public string? Param { get; }

    /// <summary>Seconds after which trying again makes sense; null: it makes none.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>A request with a member that cannot be taken.</summary>
    /// <param name="param">The member.</param>
    /// <param name="message">One line: what was given, what is allowed.</param>
    /// <param name="code">A word for programs.</param>
    public static ApiException Invalid(string? param, string message, string? code = null) => new(StatusCodes.Status400BadRequest, message, code, param);

    /// <summary>The server is about to end.</summary>
    public static ApiException Stopping() => new(StatusCodes.Status503ServiceUnavailable, "The server is stopping.", "server_stopping") { RetryAfter = 5 };

    /// <summary>It took too long.</summary>
    /// <param name="seconds">The limit.</param>
    public static ApiException TimedOut(int seconds) =>
        new(StatusCodes.Status504GatewayTimeout, $"The answer took longer than {seconds} seconds, the limit of this server; ask for fewer tokens or prompts at once.", "timeout");
}
