using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Tests.Mixers;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

public class LanguageModelTests
{
    public static TheoryData<string> Names => ModelShapeTests.TinyNames;

    [Theory]
    [MemberData(nameof(Names))]
    public void Chunks_through_caches_give_the_logits_of_the_whole(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var model = Small(name, device);
            model.eval();
            var tokens = FormulaWeights.Tokens(17, 0, 2, 12).to(device);
            var whole = model.forward(tokens);
            var caches = model.Blocks.Select(_ => new MixerCache(12)).ToArray();
            var parts = new List<Tensor>();
            foreach (var (start, count) in new[] { (0, 5), (5, 1), (6, 3), (9, 1), (10, 2) })
            {
                parts.Add(model.Logits(model.Hidden(tokens.narrow(1, start, count), caches)));
            }

            foreach (var cache in caches)
            {
                cache.Dispose();
            }

            // Products of other shapes sum in another order, over two layers and a norm.
            Assert.InRange(PlainMath.Deviation(cat(parts, 1), whole), 0, 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Bfloat16_products_stay_near_float32_and_gradients_are_float32(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var model = Small(name, device);
            Tensor tokens = FormulaWeights.Tokens(17, 0, 4, 12).to(device), targets = FormulaWeights.Tokens(17, 5, 4, 12).to(device);
            var (exact, exactGradient) = LossAndGradient(model, tokens, targets);
            model.ComputeType = ScalarType.BFloat16;
            var logits = model.forward(tokens);
            Assert.Equal(ScalarType.Float32, logits.dtype);
            var (rounded, gradient) = LossAndGradient(model, tokens, targets);

            // bfloat16 keeps 8 bits: a product is off by 0.4 %, logits around 1 by some roundings of that, and their errors average out
            // over 48 tokens. A lost layer or a product in the wrong type shows as tenths.
            Assert.InRange(Math.Abs(rounded - exact), 1e-9, 0.02);
            Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));

            // Directions agree: 1 - cosine is about the square of a relative error of a few per cent.
            Assert.InRange(nn.functional.cosine_similarity(gradient, exactGradient, 0).item<float>(), 0.99f, 1.001f);
            model.ComputeType = ScalarType.Float32;
            Assert.Equal(exact, LossAndGradient(model, tokens, targets).Loss);
        }
    }

    [Fact]
    public void Static_attention_uses_the_cache_for_values_only()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var mixer = MixerSamples.Create("cattnm");
        using var cache = new MixerCache(MixerSamples.Context);
        // What another test's backward pass returned on this thread would go with the next node.
        ReturnedGradients.Release();
        var before = ContinuedFractions.LiveTensors.Count();
        using (NewDisposeScope())
        {
            mixer.forward(FormulaWeights.Input(1, 4, MixerSamples.Width), cache);
        }

        Assert.Equal(before + 1, Tensor.TotalCount);
    }

    [Theory]
    [InlineData("tiny")]
    [InlineData("tiny-f")]
    [InlineData("tiny-fu")]
    public void Gradients_of_bfloat16_products_add_to_what_is_there_as_float32_ones_do(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Small(name);
        model.ComputeType = ScalarType.BFloat16;
        var tokens = FormulaWeights.Tokens(17, 0, 1, 12);

        // Without gradients they are made float32; into existing ones they are added as they are.
        model.Loss(tokens, tokens).backward();
        var first = model.parameters().Select(parameter => parameter.grad!.clone()).ToArray();
        model.Loss(tokens, tokens).backward();
        foreach (var (one, (part, parameter)) in first.Zip(model.named_parameters()))
        {
            // Embeddings get theirs in several parts, which may cancel: their sum may round differently, by a unit in the last place of the largest. The others are doubled exactly.
            var rounding = part.EndsWith("_embedding", StringComparison.Ordinal) ? (one.abs() * 1e-6) + (one.abs().max() * Math.ScaleB(1, -23)) : zeros_like(one);
            Assert.True((parameter.grad! - (one * 2)).abs().le(rounding).all().item<bool>(), part);
        }
    }

    [Fact]
    public void The_graph_of_a_loss_is_for_one_backward_pass_and_says_so_by_an_ordinary_error()
    {
        using var scope = NewDisposeScope();
        using var model = Small("tiny-f");
        var tokens = FormulaWeights.Tokens(17, 0, 1, 12);
        var loss = model.Loss(tokens, tokens);
        loss.backward(retain_graph: true);
        Assert.Throws<ExternalException>(() => loss.backward());

        // The next steps know nothing of it, once the gradients that it left are gone.
        _ = LossAndGradient(model, tokens, tokens);
        var once = LossAndGradient(model, tokens, tokens);
        var again = LossAndGradient(model, tokens, tokens);
        Assert.True(once.Gradient.equal(again.Gradient).all().item<bool>());
    }

    [Fact]
    public void A_models_blocks_may_differ()
    {
        using var scope = NewDisposeScope();
        var tiny = PresetLibrary.Get("tiny").Model with { Width = 16, ContextLength = 12, VocabularySize = 17 };
        var mixed = tiny with
        {
            Blocks =
            [
                new() { Mixer = new CAttnUConfig(), FeedForward = new MlpConfig() },
                new() { Repeat = 2, Mixer = new AttentionConfig { Heads = 2 }, FeedForward = new GatedLinearConfig() },
                new() { Mixer = new SynthesizerConfig { Heads = 2 }, FeedForward = new CffnConfig { Ladders = new() { Count = 2, Depth = 2 } } },
            ],
        };
        using var model = new LanguageModel(mixed);
        Assert.Equal(["CAttnU", "Attention", "Attention", "Synthesizer"], model.Blocks.Select(block => block.Mixer.GetName()));
        Assert.Equal([1, 12, 17], model.forward(FormulaWeights.Tokens(17, 0, 1, 12)).shape);
    }

    [Fact]
    public void A_modules_constructor_is_all_a_users_own_model_needs()
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        using var module = new UsersModel();
        Assert.Contains(module.named_parameters(), entry => entry.name == "_feedForward.ladders.levels.2");
        Assert.Equal((16 * 64 * 4) + (2 * 64 * 64) + (64 * 8) + 8, module.parameters().Sum(parameter => parameter.numel()));
        using var optimizer = optim.AdamW(module.parameters(), 3e-3);
        var x = FormulaWeights.Input(32, 64);
        var target = x.narrow(1, 0, 8).square();
        var losses = new List<float>();
        for (var step = 0; step < 30; step++)
        {
            var loss = nn.functional.mse_loss(module.forward(x), target);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            losses.Add(loss.item<float>());
        }

        Assert.True(losses[^1] < losses[0] / 2, $"{losses[0]} -> {losses[^1]}");
    }

    internal static LanguageModel Small(string name, Device? device = null)
    {
        var model = new LanguageModel(SmallConfig(name), device);
        FormulaWeights.Fill(model, 0.25);
        return model;
    }

    internal static ModelConfig SmallConfig(string name)
    {
        var config = PresetLibrary.Get(name).Model;
        return config with { Width = 16, ContextLength = 12, VocabularySize = 17, Blocks = [config.Blocks[0] with { Repeat = 2 }] };
    }

    private static (float Loss, Tensor Gradient) LossAndGradient(LanguageModel model, Tensor tokens, Tensor targets)
    {
        var loss = model.Loss(tokens, targets);
        loss.backward();
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.grad!.dtype));
        var gradient = cat([.. model.parameters().Select(parameter => parameter.grad!.flatten())]);
        foreach (var parameter in model.parameters())
        {
            parameter.grad = null;
        }

        return (loss.item<float>(), gradient);
    }

    private sealed class UsersModel : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _feedForward = new Cffn(64);
        private readonly nn.Module<Tensor, Tensor> _head = nn.Linear(64, 8);

        public UsersModel()
            : base(nameof(UsersModel)) => RegisterComponents();

        public override Tensor forward(Tensor x) => _head.forward(_feedForward.forward(x));
    }
}
