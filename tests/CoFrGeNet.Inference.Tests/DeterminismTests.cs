using CoFrGeNet.Generation;
using CoFrGeNet.Simd;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

/// <summary>What a sequence gets depends on its own calls alone, bit by bit.</summary>
public sealed class DeterminismTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => TinyModel.Names;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void Sequences_side_by_side_get_what_each_gets_alone(string name)
    {
        TinyModel.Write(_folder, name);
        using var model = InferenceModel.Load(_folder.Root);
        using var oneThread = InferenceModel.Load(_folder.Root, new InferenceOptions { Threads = 1 });
        // Prompts in blocks and row by row, so that kernels for 1, 2, 3, 4 and more rows are used beside those for blocks.
        int[] prompts = [1, 30, 5, 90, 23, 24, 2];
        const int steps = 12;
        var alone = prompts.Select((length, i) => Alone(oneThread, TinyModel.Tokens(length + steps, i), length)).ToArray();
        for (var count = 1; count <= prompts.Length; count++)
        {
            var sessions = Enumerable.Range(0, count).Select(_ => model.StartSession()).ToArray();
            var tokens = Enumerable.Range(0, count).Select(i => TinyModel.Tokens(prompts[i] + steps, i)).ToArray();
            for (var step = 0; step <= steps; step++)
            {
                model.Append([.. sessions.Select((session, i) => new SessionTokens(session, step == 0 ? tokens[i].AsMemory(0, prompts[i]) : tokens[i].AsMemory(prompts[i] + step - 1, 1)))]);
                for (var i = 0; i < count; i++)
                {
                    Assert.True(sessions[i].Logits.SequenceEqual(alone[i][step]), $"{count} sequences, sequence {i}, step {step}");
                }
            }

            Array.ForEach(sessions, session => session.Dispose());
        }
    }

    /// <summary>For minutes: <c>COFRGENET_MODEL=DIR COFRGENET_SECONDS=60 CoFrGeNet.Inference.Tests -method "*Crowds*" -explicit only</c>.</summary>
    [Fact(Explicit = true)]
    public void Crowds_of_sequences_that_come_and_go_get_what_each_gets_alone()
    {
        var folder = Environment.GetEnvironmentVariable("COFRGENET_MODEL") ?? TinyModel.Write(_folder, "fu");
        var seconds = int.Parse(Environment.GetEnvironmentVariable("COFRGENET_SECONDS") ?? "20", System.Globalization.CultureInfo.InvariantCulture);
        using var model = InferenceModel.Load(folder);
        int[] prompts = [1, 2, 3, 5, 8, 12, 23, 24, 30, 40];
        const int steps = 64;
        int[][] texts = [.. prompts.Select((length, i) => Enumerable.Range(0, length + steps).Select(t => ((t * 7919) + (i * 104729)) % model.VocabularySize).ToArray())];
        var alone = texts.Select((text, i) => Alone(model, text, prompts[i])).ToArray();
        var random = new Random(1);
        var crowd = Enumerable.Range(0, 64).Select(i => (Session: model.StartSession(), Kind: i % prompts.Length, Step: -1)).ToArray();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < seconds)
        {
            var chosen = Enumerable.Range(0, crowd.Length).Where(_ => random.Next(8) > 0).ToArray();
            foreach (var i in chosen)
            {
                if (crowd[i].Step == steps)
                {
                    crowd[i].Session.Truncate(0);
                    crowd[i] = (crowd[i].Session, random.Next(prompts.Length), -1);
                }

                crowd[i].Step++;
            }

            model.Append([.. chosen.Select(i => new SessionTokens(crowd[i].Session, Next(crowd[i].Kind, crowd[i].Step)))]);
            foreach (var i in chosen)
            {
                Assert.True(crowd[i].Session.Logits.SequenceEqual(alone[crowd[i].Kind][crowd[i].Step]), $"{chosen.Length} sequences, kind {crowd[i].Kind}, step {crowd[i].Step}, after {clock.Elapsed.TotalSeconds:F1} s");
            }
        }

        Array.ForEach(crowd, entry => entry.Session.Dispose());

        ReadOnlyMemory<int> Next(int kind, int step) =>
            step == 0 ? texts[kind].AsMemory(0, prompts[kind]) : texts[kind].AsMemory(prompts[kind] + step - 1, 1);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_batch_gives_what_each_of_its_sequences_gives_alone(string name)
    {
        TinyModel.Write(_folder, name);
        using var engine = InferenceModel.Load(_folder.Root);
        ILanguageModel model = engine;
        var sequences = new[] { 40, 3, 200, 1, 120, 7 }.Select((length, i) => (ReadOnlyMemory<int>)TinyModel.Tokens(length, i)).ToArray();
        var positions = Enumerable.Range(0, sequences.Length).SelectMany(i => Enumerable.Range(0, sequences[i].Length).Select(j => new TokenPosition(i, j))).ToArray();
        var together = new float[positions.Length * TinyModel.Vocabulary];
        model.Forward(sequences, positions, together);
        var offset = 0;
        foreach (var sequence in sequences)
        {
            var alone = new float[sequence.Length * TinyModel.Vocabulary];
            model.Forward([sequence], [.. Enumerable.Range(0, sequence.Length).Select(j => new TokenPosition(0, j))], alone);
            Assert.True(alone.AsSpan().SequenceEqual(together.AsSpan(offset, alone.Length)));
            offset += alone.Length;
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_register_width_gives_nearly_the_same(string name)
    {
        TinyModel.Write(_folder, name);
        var tokens = TinyModel.Tokens(150, 1);
        var expected = Logits(SimdWidth.Scalar);
        foreach (var width in new[] { SimdWidth.Four, SimdWidth.Eight, SimdWidth.Sixteen })
        {
            var actual = Logits(width);
            for (var i = 0; i < expected.Length; i++)
            {
                // Sums in different orders.
                Assert.InRange(actual[i], expected[i] - 1e-4f, expected[i] + 1e-4f);
            }
        }

        float[] Logits(SimdWidth width)
        {
            using var model = InferenceModel.Load(_folder.Root, new InferenceOptions(), EngineKernels.Of(width));
            using var session = model.StartSession();
            return [.. session.Append(tokens.AsSpan(0, 140)), .. session.Append(tokens.AsSpan(140, 9)), .. session.Append(tokens.AsSpan(149))];
        }
    }

    private static float[][] Alone(InferenceModel model, int[] tokens, int prompt)
    {
        using var session = model.StartSession();
        var logits = new List<float[]> { session.Append(tokens.AsSpan(0, prompt)).ToArray() };
        for (var i = prompt; i < tokens.Length; i++)
        {
            logits.Add(session.Append(tokens.AsSpan(i, 1)).ToArray());
        }

        return [.. logits];
    }
}
