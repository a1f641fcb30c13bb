using System.Diagnostics;
using CoFrGeNet;
using CoFrGeNet.Generation;
using CoFrGeNet.Inference;

if (args.Length is < 2 or > 4)
{
    Console.Error.WriteLine("usage: StreamText MODEL_FOLDER PROMPT [TOKENS [TEMPERATURE]]");
    return 2;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    stop.Cancel();
};

try
{
    var options = new SamplingOptions
    {
        MaxTokens = args.Length > 2 ? int.Parse(args[2]) : 100,
        Temperature = args.Length > 3 ? double.Parse(args[3]) : 0.8,
    };
    using var model = TextModel.Load(args[0]);
    Console.Write(args[1]);
    var started = Process.GetCurrentProcess().StartTime;
    TimeSpan? first = null;
    var count = 0;
    await foreach (var piece in model.StreamAsync(args[1], options, stop.Token))
    {
        first ??= DateTime.Now - started;
        count++;
        Console.Write(piece.Text);
    }

    var all = DateTime.Now - started;
    Console.WriteLine();
    Console.Error.WriteLine(
        $"[{count} tokens; the first {first?.TotalSeconds:F3} s after the start of the process, then {Math.Max(0, count - 1) / Math.Max(1e-9, (all - first ?? all).TotalSeconds):F1} tokens/s]");
    return 0;
}
catch (Exception e) when (e is UserErrorException or FormatException)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
catch (OperationCanceledException)
{
    return 130;
}
