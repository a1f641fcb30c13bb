using System.IO.Pipes;

namespace CoFrGeNet.Training.Tests.Data;

public sealed class StoppableInputTests
{
    [Fact]
    public async Task A_read_that_waits_ends_when_it_shall()
    {
        using var writer = new AnonymousPipeServerStream(PipeDirection.Out);
        using var stop = new CancellationTokenSource();
        var pipe = new AnonymousPipeClientStream(PipeDirection.In, writer.ClientSafePipeHandle);
        var input = new StoppableInput(pipe, stop.Token);
        writer.Write("abc"u8);
        var bytes = new byte[2];
        Assert.Equal((2, 1), (input.Read(bytes), input.Read(bytes)));
        Assert.Equal((byte)'c', bytes[0]);
        var waiting = Task.Run(() => input.Read(new byte[2]), TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        // Lets the read behind it end, so that the pipe can be closed.
        writer.Write("d"u8);
    }

    [Fact]
    public void A_pipe_given_as_a_file_is_refused_in_words()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "descriptors are files on Linux");
        using var writer = new AnonymousPipeServerStream(PipeDirection.Out);
        var error = Assert.Throws<UserErrorException>(() => new CoFrGeNet.Text.TextFileReader($"/proc/self/fd/{writer.GetClientHandleAsString()}").Dispose());
        Assert.Contains("is a pipe", error.Message, StringComparison.Ordinal);
    }
}
