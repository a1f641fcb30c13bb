namespace CoFrGeNet.Torch.Native;

/// <summary>How a check of the environment went.</summary>
public enum NativeCheckStatus
{
    /// <summary>Nothing to do.</summary>
    Ok,

    /// <summary>It works, but slower or with less room than it could.</summary>
    Warning,

    /// <summary>Training and inference on libtorch cannot work until this is mended.</summary>
    Failed,
}
