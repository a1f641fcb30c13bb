using CoFrGeNet.Configuration;
using CoFrGeNet.Interop;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Interop;

/// <summary>docs/interop.md names what the code reads.</summary>
public class InteropDocumentationTests
{
    private static readonly string Page = File.ReadAllText(Find("docs/interop.md"));

    [Fact]
    public void Every_member_of_a_configuration_is_named()
    {
        foreach (var architecture in ForeignArchitecture.All)
        {
            Assert.All(architecture.Members, member => Assert.Contains($"`{member}`", Page));
            Assert.Contains($"`model_type` = `{architecture.ModelType}`", Page);
        }
    }

    [Fact]
    public void The_members_that_are_written_are_members_that_are_read()
    {
        var gpt2 = new ModelConfig { VocabularySize = 5, ContextLength = 6, Width = 4, Blocks = [new() { Mixer = new AttentionConfig { Heads = 2 }, FeedForward = new MlpConfig() }] };
        var llama = gpt2 with
        {
            Norm = new() { Kind = NormKind.RmsNorm },
            LearnedPositions = false,
            Blocks = [new() { Mixer = new AttentionConfig { Heads = 2, Bias = false, Rotary = new() }, FeedForward = new SwiGluConfig { HiddenSize = 6 } }],
        };
        foreach (var (architecture, model) in ForeignArchitecture.All.Zip([gpt2, llama]))
        {
            Assert.Null(architecture.Misfit(model));
            Assert.Subset(architecture.Members.ToHashSet(), architecture.Write(model).Select(member => member.Key).ToHashSet());
            Assert.Equal(model, architecture.Read(new ForeignConfig(StrictJson.Parse(architecture.Write(model).ToJsonString(), "written"), "written")));
            // And each tensor of one layer is in the table, by the last parts of its name.
            Assert.All(architecture.Rules(model).SelectMany(rule => rule.Parts), part => Assert.Contains(string.Join('.', part.Name.Split('.')[..^1]).Split('.')[^1], Page));
        }

        Assert.NotNull(ForeignArchitecture.All[0].Misfit(llama));
        Assert.NotNull(ForeignArchitecture.All[1].Misfit(gpt2));
    }

    [Fact]
    public void The_names_that_a_pickle_may_use_are_named() =>
        Assert.All(PickleMachine.AllowedNames.Where(name => !name.EndsWith("Storage", StringComparison.Ordinal)), name => Assert.Contains($"`{name}`", Page));

    private static string Find(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "CoFrGeNet.slnx")))
            {
                return Path.Combine(folder.FullName, relative);
            }
        }

        throw new FileNotFoundException($"{relative} is not above {AppContext.BaseDirectory}");
    }
}
