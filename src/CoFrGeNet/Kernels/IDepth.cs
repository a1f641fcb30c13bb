namespace CoFrGeNet.Kernels;

/// <summary>A depth d as a type, so that a kernel compiled for it keeps each level in registers of its own.</summary>
internal interface IDepth
{
    /// <summary>d.</summary>
    static abstract int Value { get; }
}

/// <summary>Any depth, known only when the kernel runs.</summary>
internal readonly struct AnyDepth : IDepth
{
    public static int Value => 0;
}

/// <summary>d = 1.</summary>
internal readonly struct Depth1 : IDepth
{
    public static int Value => 1;
}

/// <summary>d = 2.</summary>
internal readonly struct Depth2 : IDepth
{
    public static int Value => 2;
}

/// <summary>d = 3.</summary>
internal readonly struct Depth3 : IDepth
{
    public static int Value => 3;
}

/// <summary>d = 4.</summary>
internal readonly struct Depth4 : IDepth
{
    public static int Value => 4;
}

/// <summary>d = 5.</summary>
internal readonly struct Depth5 : IDepth
{
    public static int Value => 5;
}

/// <summary>d = 6.</summary>
internal readonly struct Depth6 : IDepth
{
    public static int Value => 6;
}

/// <summary>d = 7.</summary>
internal readonly struct Depth7 : IDepth
{
    public static int Value => 7;
}

/// <summary>d = 8.</summary>
internal readonly struct Depth8 : IDepth
{
    public static int Value => 8;
}
