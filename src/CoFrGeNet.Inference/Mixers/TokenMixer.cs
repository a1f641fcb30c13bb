namespace CoFrGeNet.Inference;

/// <summary>The first seam: moves information between the tokens of a sequence, forwards only.</summary>
internal abstract unsafe class TokenMixer
{
    /// <summary>Float32 values that it keeps of each page of tokens.</summary>
    public abstract long PageFloats { get; }

    /// <summary>Where its part of a page begins; set once, when the model is built.</summary>
    public nint PageOffset { get; set; }

    /// <summary>Mixes the tokens of a pass and keeps what later ones need.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="x">The normed input, [rows, stride].</param>
    /// <param name="residual">What the result is added to, [rows, stride].</param>
    /// <param name="stride">From a row to the next: the model's width in whole registers.</param>
    public abstract void Forward(Pass pass, float* x, float* residual, int stride);
}
