using CoFrGeNet.Generation;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

public sealed class TextModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TextModel _model;

    public TextModelTests() => _model = TextModel.Load(TinyModel.Write(_folder, TinyModel.Config("f") with { VocabularySize = 257 }));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Streaming_gives_what_the_blocking_generator_gives()
    {
        var options = new SamplingOptions { Seed = 4, MaxTokens = 60, TopP = 0.9, RepetitionPenalty = 1.1, LogProbabilities = 3 };
        var expected = new TextGenerator(_model.Model, _model.Tokenizer).Generate("Once", options, Cancel);
        var actual = await _model.GenerateAsync("Once", options, Cancel);
        Assert.Equal(expected.Tokens, actual.Tokens);
        Assert.Equal(expected.Text, actual.Text);
        Assert.Equal(expected.LogProbabilities.Select(entry => entry.Chosen), actual.LogProbabilities.Select(entry => entry.Chosen));
    }

    [Fact]
    public void A_name_comes_from_the_folder_and_mistakes_from_the_call()
    {
        Assert.Equal(Path.GetFileName(_folder.Root), _model.Name);
        Assert.Same(ChatTemplate.Plain, _model.Template);
        Assert.Throws<UserErrorException>(() => _model.StreamAsync(new string('x', 500), cancellationToken: Cancel));
        Assert.Throws<UserErrorException>(() => _model.StreamAsync("x", new SamplingOptions { TopP = 2 }, Cancel));
        Assert.Throws<UserErrorException>(() => TextModel.Load(_folder.File("nowhere")));
    }

    [Fact]
    public void Log_probabilities_of_prompts_equal_those_of_generated_tokens()
    {
        // One pass over the whole text, or token by token: the same logits up to rounding.
        var result = new TextGenerator(_model.Model, _model.Tokenizer).Generate("Once", new SamplingOptions { Seed = 2, MaxTokens = 40, LogProbabilities = 1 }, Cancel);
        int[] all = [.. _model.Tokenizer.Encode("Once"), .. result.Tokens];
        var scores = PromptScorer.Score(_model.Model, [all], 1, 257)[0];
        for (var i = 0; i < result.Tokens.Count; i++)
        {
            Assert.Equal(result.LogProbabilities[i].Chosen.LogProbability, scores[4 + i]!.Chosen.LogProbability, 1e-4);
        }
    }
}
