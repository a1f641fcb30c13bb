namespace CoFrGeNet.Server;

/// <summary>A question about a model that needs a pass of its own, between those of the sequences.</summary>
/// <param name="CacheTokens">Tokens that its cache takes, in whole pages.</param>
/// <param name="Run">Finds the answer and tells it; throws nothing.</param>
/// <param name="Fail">Tells that there will be none.</param>
/// <param name="Cancellation">Is cancelled when nobody waits for the answer any more.</param>
internal sealed record ModelLook(long CacheTokens, Action Run, Action<Exception> Fail, CancellationToken Cancellation);
