using System.Globalization;
using System.Text;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>The document of a study: what was asked, a table of the arms, one of every run, and the curves. Failed and weaker arms stand in it like the others.</summary>
public static class StudyReport
{
    private const int PointsAMean = 6;
    private const string Missing = "-";

    /// <summary>Writes NAME.md and NAME.png beside the results.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="results">What is known.</param>
    /// <param name="folder">The folder of the results.</param>
    /// <param name="command">The command that goes on with the study, or repeats it.</param>
    public static void Save(StudyPlan plan, StudyResults results, string folder, string command)
    {
        Directory.CreateDirectory(folder);
        var picture = $"{plan.Name}.png";
        var curves = Curves(results);
        if (curves.Count > 0)
        {
            LossCurve.SavePng(Path.Combine(folder, picture), $"{plan.Name}: {(MeasuredAgain(results) ? "training" : "validation")} loss, mean over seeds at the best learning rate", curves);
        }

        DurableFile.Write(Path.Combine(folder, $"{plan.Name}.md"), Encoding.UTF8.GetBytes(Document(plan, results, curves.Count > 0 ? picture : null, command)));
    }

    /// <summary>The document as Markdown.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="results">What is known.</param>
    /// <param name="picture">File name of the curves; null: there are none yet.</param>
    /// <param name="command">The command that goes on with the study, or repeats it.</param>
    public static string Document(StudyPlan plan, StudyResults results, string? picture, string command)
    {
        var text = new StringBuilder();
        text.Append($"# {plan.Config.Title}\n\n");
        text.AppendJoin("\n\n", plan.Config.About).Append(plan.Config.About.Count > 0 ? "\n\n" : string.Empty);
        Status(text, plan, results);
        Setup(text, plan, results);
        ArmTable(text, plan, results);
        if (picture is not null)
        {
            text.Append($"![Loss curves]({picture})\n\n");
        }

        RunTable(text, plan, results);
        CopyingTable(text, results);
        Origin(text, plan, results, command);
        return text.ToString();
    }

    private static void Status(StringBuilder text, StudyPlan plan, StudyResults results)
    {
        if (results.Complete)
        {
            return;
        }

        var done = results.Runs.Count(run => plan.Config.Arms.Any(arm => arm.Name == run.Arm));
        text.Append($"**Unfinished: {done} of {plan.RunCount} runs are done.** What is missing is marked {Missing}; rates of arms whose grid is not complete are not chosen yet.\n\n");
    }

    private static void Setup(StringBuilder text, StudyPlan plan, StudyResults results)
    {
        var config = plan.ConfigOf(plan.Config.Arms[0].Name);
        var training = config.Training;
        text.Append(Invariant($"Each run sees {plan.Tokens:N0} tokens: {plan.Steps:N0} steps of {training.TokensPerStep:N0}, in sequences of {training.ResolveSequenceLength(config.Model)}, "));
        text.Append(Invariant($"{(training.Precision == ComputePrecision.BFloat16 ? "bfloat16 products" : "float32")}, and the same tokens in the same order for all arms with the same seed. "));
        var (rates, seeds) = (plan.Config.LearningRates, plan.Config.Seeds);
        var grid = string.Join(", ", rates.Select(Rate));
        text.Append(rates.Count == 1 ? Invariant($"Every arm is trained at {grid} with seed{(seeds.Count > 1 ? "s" : string.Empty)} {string.Join(", ", seeds)}. ")
            : seeds.Count == 1 ? Invariant($"Every arm is trained at {grid} with seed {plan.FirstSeed}; its best rate counts, so its loss is the least of {rates.Count}, for every arm alike. ")
            : Invariant($"Every arm is trained at {grid} with seed {plan.FirstSeed}; the rate with the least loss is taken for the other seeds ({string.Join(", ", seeds.Skip(1))}). So the first seed's loss is the least of {rates.Count}, for every arm alike. "));
        text.Append(Invariant($"Losses are nats a token on {Math.Min(training.EvaluationTokens, results.Text?.ValidationTokens ?? int.MaxValue):N0} tokens in windows spread evenly over the held-out text; ± is the standard deviation over seeds (n - 1).\n\n"));
    }

    private static void ArmTable(StringBuilder text, StudyPlan plan, StudyResults results)
    {
        var references = plan.Config.ResolveReferences();
        var best = results.Arms.Where(arm => references.Contains(arm.Name) && arm.MeanLoss is not null).MinBy(arm => arm.MeanLoss);
        text.Append("| arm | block parameters | share | best rate | seeds | loss | bits/byte | against the reference | max gradient | of the reference's | skipped | CPU seconds a run |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        foreach (var arm in results.Arms)
        {
            var gradient = arm.MaxGradientNorm / best?.MaxGradientNorm;
            string[] cells =
            [
                arm.Note is null ? arm.Name : $"{arm.Name}: {arm.Note}",
                Invariant($"{arm.BlockParameters:N0}"),
                Invariant($"{arm.BlockShare:P0}"),
                arm.LearningRate is { } rate ? Rate(rate) + (arm.RateAtEdge ? " (edge)" : string.Empty) : Missing,
                $"{arm.Seeds.Count}" + (arm.FailedSeeds.Count > 0 ? $", {arm.FailedSeeds.Count} failed" : string.Empty),
                arm.MeanLoss is { } loss ? Invariant($"{loss:F4}") + (arm.Spread is { } spread ? Invariant($" ± {spread:F4}") : string.Empty) : Missing,
                Number(arm.BitsPerByte, "F4"),
                Against(arm, best, results),
                Number(arm.MaxGradientNorm, "F2"),
                gradient is { } ratio ? Invariant($"{ratio:F1}x") : Missing,
                $"{arm.SkippedSteps}",
                Number(arm.CpuSeconds, "F0"),
            ];
            text.Append($"| {string.Join(" | ", cells)} |\n");
        }

        text.Append($"\nThe reference is {(best is null ? "not known yet" : $"{best.Name}, {(references.Count > 1 ? "the best of " + string.Join(", ", references) : "as the study says")}")}. ");
        text.Append("Against it: the mean difference of the losses seed by seed, with the standard deviation of these differences; \"better\" or \"worse\" where the mean is larger than that, else \"level\". ");
        text.Append("\"(edge)\": the best rate is the grid's lowest or highest, so a better one may lie outside.\n\n");
    }

    // Seed by seed: the same seed means the same batches, so what they make easy or hard falls out of the difference.
    private static string Against(StudyArmSummary arm, StudyArmSummary? reference, StudyResults results)
    {
        if (reference?.LearningRate is null || arm.LearningRate is null || arm.Name == reference.Name)
        {
            return Missing;
        }

        double? Loss(StudyArmSummary of, int seed) => results.Find(new StudyRunKey(of.Name, seed, of.LearningRate!.Value))?.ValidationLoss;
        var differences = arm.Seeds.Select(seed => Loss(arm, seed) - Loss(reference, seed)).OfType<double>().ToArray();
        if (differences.Length < 2)
        {
            return differences.Length == 0 ? Missing : Invariant($"{differences[0]:+0.0000;-0.0000} (one seed)");
        }

        double mean = differences.Average(), spread = StudyArmSummary.Deviation(differences);
        return Invariant($"{mean:+0.0000;-0.0000} ± {spread:F4}, {(Math.Abs(mean) > spread ? mean < 0 ? "better" : "worse" : "level")} ({differences.Length} seeds)");
    }

    private static void RunTable(StringBuilder text, StudyPlan plan, StudyResults results)
    {
        text.Append("## Every run\n\n| arm | seed | rate | loss | max gradient | skipped | tokens/s |\n| --- | --- | --- | --- | --- | --- | --- |\n");
        var order = plan.Config.Arms.Select((arm, i) => (arm.Name, i)).ToDictionary(pair => pair.Name, pair => pair.i);
        foreach (var run in results.Runs.OrderBy(run => order.GetValueOrDefault(run.Arm, int.MaxValue)).ThenBy(run => run.Seed).ThenBy(run => run.LearningRate))
        {
            var loss = run.Failure is { } failure ? $"failed: {failure}" : Number(run.ValidationLoss, "F4");
            text.Append($"| {run.Arm} | {run.Seed} | {Rate(run.LearningRate)} | {loss} | {Number(run.MaxGradientNorm, "F2")} | {run.SkippedSteps} | {Number(run.TokensPerSecond, "N0")} |\n");
        }

        text.Append("\nTokens a second say how fast the machine was at that time, whatever else it did; they compare arms only roughly.\n\n");
    }

    private static void CopyingTable(StringBuilder text, StudyResults results)
    {
        var measured = results.Arms
            .Select(arm => (arm.Name, Copies: results.Runs.Where(run => run.Arm == arm.Name && run.LearningRate.Equals(arm.LearningRate) && run.Copying is not null).Select(run => run.Copying!).ToArray()))
            .Where(entry => entry.Copies.Length > 0).ToArray();
        if (measured.Length == 0)
        {
            return;
        }

        text.Append($"## Copying from the context\n\nA passage of {measured[0].Copies[0].Length} tokens stands twice in a sequence, at random places. Loss in nats a token on its first and second copy, and the share of the second copy's tokens that the model puts first; means over seeds.\n\n");
        text.Append("| arm | random ids: first | second | copied | text: first | second | copied |\n| --- | --- | --- | --- | --- | --- | --- |\n");
        foreach (var (name, copies) in measured)
        {
            text.Append($"| {name} | {Mean(copies, copy => copy.Random)} | {Mean(copies, copy => copy.Text)} |\n");
        }

        text.Append('\n');
    }

    private static string Mean(CopyingResult[] copies, Func<CopyingResult, CopyLosses?> part)
    {
        var losses = copies.Select(part).OfType<CopyLosses>().ToArray();
        return losses.Length == 0
            ? $"{Missing} | {Missing} | {Missing}"
            : Invariant($"{losses.Average(copy => copy.First):F3} | {losses.Average(copy => copy.Second):F3} | {losses.Average(copy => copy.Accuracy):P1}");
    }

    private static void Origin(StringBuilder text, StudyPlan plan, StudyResults results, string command)
    {
        text.Append("## Where it comes from\n\nThe text is made by\n\n");
        text.AppendJoin(string.Empty, (plan.Config.Text.Count > 0 ? plan.Config.Text : ["(the documentation of the .NET SDK on the machine)"]).Select(line => $"    {line}\n"));
        text.Append($"\nand the study by\n\n    {command}\n\n");
        text.Append($"which does what `{plan.Name}.json` does not hold yet. The configuration of every arm stands there in full.\n\n");
        if (results.Text is { } source)
        {
            text.Append(Invariant($"* Text: tokenizer {source.Tokenizer} with {source.Vocabulary:N0} ids, {source.TrainTokens:N0} tokens to train on, {source.ValidationTokens:N0} held out; fingerprint {source.Fingerprint}.\n"));
        }

        string Distinct(Func<StudyRun, string> part) => string.Join("; ", results.Runs.Select(part).Distinct());
        text.Append($"* Machines: {Distinct(run => Invariant($"{run.Machine}, {run.Threads} thread{(run.Threads == 1 ? string.Empty : "s")}"))}.\n");
        text.Append($"* Dates: {string.Join(", ", results.Runs.Select(run => run.Date).Distinct().Order(StringComparer.Ordinal))}.\n");
        text.Append($"* Versions: {Distinct(run => run.Version)}.\n");
    }

    private static IReadOnlyList<LossSeries> Curves(StudyResults results) =>
    [
        .. results.Arms
            .Select(arm => (arm.Name, Runs: results.Runs.Where(run => run.Arm == arm.Name && run.LearningRate.Equals(arm.LearningRate) && run.ValidationLoss is not null).ToArray()))
            .Where(entry => entry.Runs.Length > 0)
            .Select(entry => new LossSeries(entry.Name, [.. entry.Runs.SelectMany(run => Curve(run, MeasuredAgain(results))).GroupBy(point => point.Tokens).OrderBy(group => group.Key)
                .Select(group => (group.Key, group.Average(point => point.Loss)))])),
    ];

    // Of models that were measured again only the end is known: then the means of the training losses tell how all came there.
    private static bool MeasuredAgain(StudyResults results) => results.Runs.Any(run => run.ValidationCurve.Count == 1);

    private static IEnumerable<CurvePoint> Curve(StudyRun run, bool ofTraining) => ofTraining
        ? run.TrainingCurve.Chunk(PointsAMean).Where(part => part.Length == PointsAMean).Select(part => new CurvePoint(part[^1].Tokens, part.Average(point => point.Loss)))
        : run.ValidationCurve;

    private static string Rate(double rate) => rate.ToString("G6", CultureInfo.InvariantCulture);

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? Missing;

    private static string Invariant(FormattableString value) => value.ToString(CultureInfo.InvariantCulture);
}
