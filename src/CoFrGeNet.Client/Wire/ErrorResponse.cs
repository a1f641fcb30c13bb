namespace CoFrGeNet.Client;

/// <summary>An error in OpenAI's form.</summary>
/// <param name="Error">The error.</param>
public sealed record ErrorResponse(ErrorDetail Error);

/// <summary>What went wrong.</summary>
/// <param name="Message">One line for a person.</param>
/// <param name="Type"><c>invalid_request_error</c>, <c>authentication_error</c>, <c>rate_limit_error</c> or <c>server_error</c>.</param>
/// <param name="Param">The member at fault, or null.</param>
/// <param name="Code">A word for programs, or null.</param>
public sealed record ErrorDetail(string? Message, string? Type, string? Param, string? Code);
