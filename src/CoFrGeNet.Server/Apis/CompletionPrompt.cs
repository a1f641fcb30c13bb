namespace CoFrGeNet.Server;

/// <summary>A prompt of a request for completions.</summary>
/// <param name="EchoText">The text that is repeated, or an empty one.</param>
/// <param name="Work">What the scheduler computes.</param>
internal sealed record CompletionPrompt(string EchoText, PromptWork Work);
