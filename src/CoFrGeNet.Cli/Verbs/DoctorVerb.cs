using System.CommandLine;
using CoFrGeNet.Text;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Cli;

/// <summary>doctor: what this machine offers, and how to mend what it lacks.</summary>
internal sealed class DoctorVerb : Verb
{
    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public DoctorVerb(ToolConsole console)
        : base("doctor", "Check runtime, native libraries, processor, memory, disk and corpus, with a fix for whatever is amiss", console) => Accept();

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        AllocatorTuning.Apply();
        var checks = NativeEnvironment.Check().Append(CheckCorpus()).ToArray();
        var failed = checks.Any(check => check.Status == NativeCheckStatus.Failed);
        if (IsJson(arguments))
        {
            WriteJson(new
            {
                Ok = !failed,
                Checks = checks.Select(check => new { check.Name, Status = StatusName(check.Status), check.Found, check.Fix }),
            });
        }
        else
        {
            foreach (var check in checks)
            {
                Tool.Output.WriteLine($"{StatusName(check.Status),-8} {check.Name}: {check.Found}");
                if (check.Fix is not null)
                {
                    Tool.Output.WriteLine($"{string.Empty,-8} fix: {check.Fix}");
                }
            }

            Tool.Output.WriteLine(failed ? "Something has failed; mend the first failure first." : "Everything that training needs is here.");
        }

        return failed ? ExitCode.Failed : ExitCode.Done;
    }

    private static string StatusName(NativeCheckStatus status) => status switch
    {
        NativeCheckStatus.Ok => "ok",
        NativeCheckStatus.Warning => "warning",
        _ => "failed",
    };

    // Not a failure: any other text can be trained on.
    private static NativeCheck CheckCorpus()
    {
        const string name = "SDK documentation corpus";
        try
        {
            var files = new SdkDocumentationCorpus().FindFiles();
            var bytes = files.Sum(file => new FileInfo(file).Length);
            return new NativeCheck(name, NativeCheckStatus.Ok, $"{files.Count} files, {Amounts.Bytes(bytes)}, {Path.GetDirectoryName(files[0])}");
        }
        catch (UserErrorException error)
        {
            return new NativeCheck(name, NativeCheckStatus.Warning, error.Message, "Train on a text of your own with --data PATH, or install the .NET SDK (the runtime alone has no documentation).");
        }
    }
}
