using CoFrGeNet.Storage;

namespace CoFrGeNet.Tests.Storage;

public sealed class AtomicDirectoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_folder_appears_whole_under_its_name_only_when_it_is_complete()
    {
        var target = _folder.File("runs/a/step-1");
        AtomicDirectory.Create(target, aside =>
        {
            File.WriteAllText(Path.Combine(aside, "x"), "1");
            Directory.CreateDirectory(Path.Combine(aside, "sub"));
            File.WriteAllText(Path.Combine(aside, "sub", "y"), "2");
            Assert.False(Directory.Exists(target));
        });
        Assert.Equal("2", File.ReadAllText(Path.Combine(target, "sub", "y")));
        Assert.Equal([target], Directory.GetFileSystemEntries(_folder.File("runs/a")));
    }

    [Fact]
    public void A_failure_leaves_the_old_folder_and_nothing_else()
    {
        var target = _folder.File("model");
        AtomicDirectory.Create(target, aside => File.WriteAllText(Path.Combine(aside, "old"), ""));
        Assert.Throws<InvalidOperationException>(() => AtomicDirectory.Create(target, aside =>
        {
            File.WriteAllText(Path.Combine(aside, "new"), "");
            throw new InvalidOperationException("disk full");
        }));
        Assert.True(File.Exists(Path.Combine(target, "old")));
        Assert.Equal([target], Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public void An_existing_folder_is_replaced_not_merged()
    {
        var target = _folder.File("model");
        AtomicDirectory.Create(target, aside => File.WriteAllText(Path.Combine(aside, "old"), ""));
        AtomicDirectory.Create(target + Path.DirectorySeparatorChar, aside => File.WriteAllText(Path.Combine(aside, "new"), ""));
        Assert.Equal([Path.Combine(target, "new")], Directory.GetFileSystemEntries(target));
        Assert.Equal([target], Directory.GetFileSystemEntries(_folder.Root));
    }

    [Fact]
    public void What_a_crash_left_is_deleted_but_the_only_complete_folder_is_given_back()
    {
        _folder.Write("a/x", "complete");
        _folder.Write("a.partial-1/x", "half");
        _folder.Write("b.partial-old-2/x", "moved aside");
        _folder.Write("c/x", "new");
        _folder.Write("c.partial-old-3/x", "replaced");
        Assert.Equal(3, AtomicDirectory.DeletePartial(_folder.Root));
        Assert.Equal(["a", "b", "c"], Directory.GetDirectories(_folder.Root).Select(Path.GetFileName).Order());
        Assert.Equal("new", File.ReadAllText(_folder.File("c/x")));
        Assert.Equal(0, AtomicDirectory.DeletePartial(_folder.File("missing")));
    }

    [Fact]
    public void A_file_is_replaced_only_by_a_whole_one()
    {
        var path = _folder.Write("f", "old");
        Assert.Throws<InvalidOperationException>(() => DurableFile.Write(path, stream =>
        {
            stream.WriteByte(1);
            throw new InvalidOperationException("stop");
        }));
        Assert.Equal("old", File.ReadAllText(path));
        DurableFile.Write(path, "new"u8.ToArray());
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Root));
    }
}
