using System.Runtime.InteropServices;

namespace CoFrGeNet.Tests.Kernels;

/// <summary>
/// A buffer of exactly the asked size whose end, or start, touches a page that may not be read or written: a kernel that leaves it ends
/// the process. Without mmap the pages are canaries, which show writes only.
/// </summary>
internal sealed unsafe partial class GuardedMemory : IDisposable
{
    private const int ReadWrite = 3, None = 0, PrivateAnonymous = 0x22;
    private const byte Canary = 0xA5;
    private static readonly nuint Page = (nuint)Environment.SystemPageSize;
    private readonly nuint _pages;
    private readonly byte* _start;
    private readonly nuint _offset;
    private readonly nuint _bytes;

    /// <param name="bytes">Size of the buffer.</param>
    /// <param name="isAtEnd">Whether its end touches the forbidden page; otherwise its start does.</param>
    public GuardedMemory(long bytes, bool isAtEnd)
    {
        _bytes = (nuint)bytes;
        _pages = ((_bytes + Page - 1) / Page) + 2;
        _offset = Page + (isAtEnd ? ((_pages - 2) * Page) - _bytes : 0);
        if (OperatingSystem.IsLinux())
        {
            _start = (byte*)Map(null, _pages * Page, ReadWrite, PrivateAnonymous, -1, 0);
            Assert.True((nint)_start != -1, "mmap failed");
            Assert.Equal(0, Protect(_start, Page, None));
            Assert.Equal(0, Protect(_start + ((_pages - 1) * Page), Page, None));
        }
        else
        {
            _start = (byte*)NativeMemory.Alloc(_pages * Page);
            NativeMemory.Fill(_start, _pages * Page, Canary);
        }
    }

    public void* Pointer => _start + _offset;

    public Span<float> Floats => new(Pointer, (int)(_bytes / sizeof(float)));

    public Span<ushort> Halves => new(Pointer, (int)(_bytes / sizeof(ushort)));

    public void Dispose()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = Unmap(_start, _pages * Page);
            return;
        }

        var all = new ReadOnlySpan<byte>(_start, (int)(_pages * Page));
        bool isWhole = all[..(int)_offset].IndexOfAnyExcept(Canary) < 0 && all[(int)(_offset + _bytes)..].IndexOfAnyExcept(Canary) < 0;
        NativeMemory.Free(_start);
        Assert.True(isWhole, "a write outside the buffer");
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Protect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Unmap(void* address, nuint length);
}
