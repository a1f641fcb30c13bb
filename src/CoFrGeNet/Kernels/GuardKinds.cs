namespace CoFrGeNet.Kernels;

/// <summary>
/// Which guard a kernel is compiled for, as a type: comparing <c>typeof</c> is decided when the kernel is compiled, so that no branch on
/// the guard is left in its loops.
/// </summary>
internal interface IGuardKind;

/// <summary><see cref="Configuration.ClampGuard"/>.</summary>
internal readonly struct ClampKind : IGuardKind;

/// <summary><see cref="Configuration.SmoothGuard"/>.</summary>
internal readonly struct SmoothKind : IGuardKind;

/// <summary><see cref="Configuration.PositiveGuard"/>.</summary>
internal readonly struct PositiveKind : IGuardKind;
