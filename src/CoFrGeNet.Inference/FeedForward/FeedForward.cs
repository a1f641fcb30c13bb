namespace CoFrGeNet.Inference;

/// <summary>The second seam: works on each token by itself.</summary>
internal abstract unsafe class FeedForward
{
    /// <summary>Works on the tokens of a pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">The normed input, [rows, stride].</param>
    /// <param name="residual">What the result is added to, [rows, stride].</param>
    /// <param name="stride">From a row to the next: the model's width in whole registers.</param>
    public abstract void Forward(Pass pass, float* x, float* residual, int stride);
}
