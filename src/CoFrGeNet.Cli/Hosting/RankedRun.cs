using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>
/// Runs a verb in each of several processes that a launcher has started. The first one speaks for all; another one is heard when it alone has something to say. However it
/// ends, all of them end.
/// </summary>
internal static class RankedRun
{
    /// <summary>Whether this process is one of several and not the first: what it says about itself would be said several times.</summary>
    public static bool IsFollower
    {
        get
        {
            try
            {
                return RankLayout.FromEnvironment().Rank > 0;
            }
            catch (UserErrorException)
            {
                return false;
            }
        }
    }

    /// <summary>Joins the other processes, if there are any, and does the work.</summary>
    /// <param name="console">Where the process writes.</param>
    /// <param name="work">The work: gets the ranks and a console, which is silent on all but the first; gives an exit code.</param>
    /// <returns>The exit code of this process.</returns>
    public static int Do(ToolConsole console, Func<RankGroup, ToolConsole, int> work)
    {
        var layout = RankLayout.FromEnvironment();
        if (layout.Size == 1)
        {
            return work(RankGroup.Single, console);
        }

        using var ranks = RankGroup.Join(layout);
#pragma warning disable CA1031 // Whatever it is, the other ranks must not wait for this one.
        try
        {
            return work(ranks, ranks.IsFirst ? console : console with { Output = TextWriter.Null, Error = TextWriter.Null });
        }
        catch (Exception error)
        {
            var code = ranks.EndsTogether && error is RankLeftException left
                ? left.IsUserError ? ExitCode.BadInput : ExitCode.Failed
                : Tool.Report(error, console, ranks.IsFirst ? string.Empty : $"{ranks.Describe(ranks.Rank)}: ");
            if (!ranks.EndsTogether)
            {
                console.Error.Flush();
                ranks.Abort(code);
            }

            return code;
        }
#pragma warning restore CA1031
    }
}
