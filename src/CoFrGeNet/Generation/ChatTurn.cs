namespace CoFrGeNet.Generation;

/// <summary>What one side says in a conversation.</summary>
/// <param name="Role">Who: <c>system</c>, <c>user</c>, <c>assistant</c> or another name.</param>
/// <param name="Text">What is said.</param>
public sealed record ChatTurn(string Role, string Text);
