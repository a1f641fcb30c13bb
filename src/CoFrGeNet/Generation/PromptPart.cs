namespace CoFrGeNet.Generation;

/// <summary>A piece of a prompt.</summary>
/// <param name="Text">Its text.</param>
/// <param name="IsMarked">Whether the spelling of a special token, for example &lt;|endoftext|&gt;, becomes that token: for templates and programs, not for what people type.</param>
public readonly record struct PromptPart(string Text, bool IsMarked = false);
