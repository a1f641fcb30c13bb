namespace CoFrGeNet.Text;

/// <summary>A piece of text that stands for itself: what follows one document says nothing about the next.</summary>
/// <param name="Name">Where the text comes from; unique in its corpus, used in messages and for a stable order.</param>
/// <param name="Text">The text, not empty.</param>
public readonly record struct Document(string Name, string Text);
