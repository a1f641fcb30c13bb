// Two ways to use the modules without the trainer: inside a model of your own, and in place of a transformer's parts.
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using PlugIn;
using static TorchSharp.torch;

manual_seed(1);

// 1. In a model of your own: does a point lie inside a ring?
using var classifier = new TinyClassifier();
using var optimizer = optim.Adam(classifier.parameters(), lr: 0.01);
for (var step = 1; step <= 200; step++)
{
    using var scope = NewDisposeScope();
    var points = (rand([256, 2]) * 4) - 2;
    var radius = points.norm(dim: 1);
    var inside = radius.gt(0.7).logical_and(radius.lt(1.5)).to(ScalarType.Int64);
    var logits = classifier.call(points);
    var loss = nn.functional.cross_entropy(logits, inside);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 50 == 0)
    {
        var accuracy = logits.argmax(1).eq(inside).to(ScalarType.Float32).mean();
        Console.WriteLine($"step {step,3}: loss {loss.item<float>():F3}, accuracy {accuracy.item<float>():P0}");
    }
}

// 2. In place of a transformer's parts: every other weight stays as it is.
var (config, _) = PresetLibrary.Get("tiny");
using var model = new LanguageModel(config);
Console.WriteLine(model.Replace(new CffnConfig { Ladders = new LadderConfig { Count = 16, Depth = 3 } }, 2, 3));
Console.WriteLine(model.Replace(new CAttnUConfig(), 3));
using var tokens = randint(0, config.VocabularySize, [1, 32]);
using var output = model.call(tokens);
Console.WriteLine($"logits [{string.Join(", ", output.shape)}]");
