namespace CoFrGeNet.Kernels;

/// <summary>A <see cref="RangeUse"/> as a type, so that no branch on it is left in loops.</summary>
internal interface IRangeKind;

/// <summary><see cref="RangeUse.None"/>.</summary>
internal readonly struct NoRange : IRangeKind;

/// <summary><see cref="RangeUse.Widen"/>.</summary>
internal readonly struct WidenedRange : IRangeKind;

/// <summary><see cref="RangeUse.Clip"/>.</summary>
internal readonly struct ClippedRange : IRangeKind;
