namespace CoFrGeNet.Evaluation.Tests;

/// <summary>Prompts of every task, against the harness' own templates filled in by hand.</summary>
public class StandardTasksTests
{
    [Theory]
    [InlineData("piqa", """{"goal":"Boil water.","sol1":"Use a pot.","sol2":"Use a hat.","label":0}""", "Question: Boil water.\nAnswer:", " Use a pot.", "0")]
    [InlineData("arc_easy", """{"question":"Why?","choices":{"text":["a","b","c"],"label":["1","2","3"]},"answerKey":"2"}""", "Question: Why?\nAnswer:", " a", "1")]
    [InlineData("arc_challenge", """{"query":"Question: Why?\nAnswer:","choices":["x","y"],"gold":1}""", "Question: Why?\nAnswer:", " x", "1")]
    [InlineData("openbookqa", """{"question_stem":"The sun","choices":{"text":["is hot","is ice"],"label":["A","B"]},"answerKey":" A"}""", "The sun", " is hot", "0")]
    [InlineData("openbookqa", """{"query":"Question: The sun\nAnswer:","choices":["is hot","is ice"],"gold":0}""", "The sun", " is hot", "0")]
    [InlineData("sciq", """{"support":"  Text.","question":"What?","distractor1":"d1","distractor2":"d2","distractor3":"d3","correct_answer":"c"}""", "Text.\nQuestion: What?\nAnswer:", " d1", "3")]
    [InlineData("boolq", """{"passage":"P.","question":"is it","label":true}""", "P.\nQuestion: is it?\nAnswer:", " no", "1")]
    [InlineData("boolq", """{"query":"P.\nQuestion: is it?\nAnswer:","choices":["yes","no"],"gold":0}""", "P.\nQuestion: is it?\nAnswer:", " no", "1")]
    [InlineData("copa", """{"premise":"He slept. ","question":"effect","choice1":"He dreamt.","choice2":"It rained.","label":0}""", "He slept therefore", "  he dreamt.", "0")]
    [InlineData("social_iqa", """{"context":"C.","question":"Q?","answerA":"a","answerB":"b","answerC":"c","label":"3"}""", "Q: C. Q?\nA:", " a", "2")]
    [InlineData("hellaswag", """{"activity_label":"Run","ctx_a":"A [x] man  goes","ctx_b":"SHE [title] runs","endings":["on [step] it","b","c","d"],"label":"2"}""", "Run: A man goes She. runs", " on it", "2")]
    [InlineData("winogrande", """{"sentence":"Ann met Bea, so _ was glad.","option1":"Ann","option2":"Bea","answer":"2"}""", "Ann met Bea, so Ann", " was glad.", "1")]
    [InlineData("lambada_openai", """{"text":"one two three"}""", "one two", " three", " three")]
    [InlineData("blimp_wh_island", """{"sentence_good":"Good.","sentence_bad":"Bad."}""", "", " Good.", "0")]
    [InlineData("mmlu_anatomy", """{"question":" Why? ","choices":["w","x","y","z"],"answer":3}""", "Why?\nA. w\nB. x\nC. y\nD. z\nAnswer:", " A", "3")]
    public void Prompts_are_those_of_the_harness(string task, string record, string context, string continuation, string target)
    {
        var definition = TaskLibrary.Get(task);
        var request = (ContinuationRequest)definition.Requests(Records.Of(record), string.Empty)[0];
        Assert.Equal((context, continuation), (request.Context, request.Continuation));
        Assert.Equal(target, definition.Target(Records.Of(record)));
    }

    [Fact]
    public void WinoGrande_puts_each_choice_into_the_context()
    {
        var requests = TaskLibrary.Get("winogrande").Requests(Records.Of("""{"sentence":"So _ was glad.","option1":"Ann","option2":"Bea","answer":"2"}"""), "X\n\n");
        Assert.Equal([new ContinuationRequest("X\n\nSo Ann", " was glad."), new ContinuationRequest("X\n\nSo Bea", " was glad.")], requests);
    }

    [Fact]
    public void Ties_go_to_the_first_choice_and_length_counts_code_points()
    {
        var piqa = TaskLibrary.Get("piqa");
        // Six UTF-16 units, three code points, against four: -3/3 > -4.2/4, while by UTF-16 units -3/6 and by bytes -3/12 would be too.
        var record = Records.Of("""{"goal":"g","sol1":"🙂🙂🙂","sol2":"abcd","label":0}""");
        Assert.Equal([1, 1], Values(piqa, record, -3, -4.2));
        // -3/3 < -3.8/4: by UTF-16 units it would be -3/6 > -3.8/4.
        Assert.Equal([1, 0], Values(piqa, record, -3, -3.8));
        Assert.Equal([1, 1], Values(piqa, Records.Of("""{"goal":"g","sol1":"aa","sol2":"bb","label":0}"""), -2, -2));
        Assert.Equal([0, 0], Values(piqa, Records.Of("""{"goal":"g","sol1":"aa","sol2":"bb","label":1}"""), -2, -2));
    }

    [Fact]
    public void The_space_of_copa_counts_as_part_of_the_choice()
    {
        var request = (ContinuationRequest)TaskLibrary.Get("copa").Requests(
            Records.Of("""{"premise":"It is wet.","question":"cause","choice1":"It rained.","choice2":"It shone.","label":0}"""), "")[1];
        Assert.Equal(("It is wet because", "  it shone."), (request.Context, request.Continuation));
    }

    [Fact]
    public void Lambada_takes_every_token_of_the_word_together()
    {
        var lambada = TaskLibrary.Get("lambada_openai");
        var record = Records.Of("""{"text":"a b c"}""");
        Assert.Equal([new MetricValue(-3), new MetricValue(1)], lambada.Score(record, [new RequestScore(-3, true, 2)]));
        Assert.Equal([new MetricValue(-3), new MetricValue(0)], lambada.Score(record, [new RequestScore(-3, false, 2)]));
    }

    [Fact]
    public void A_split_without_answers_is_refused()
    {
        var record = Records.Of("""{"goal":"g","sol1":"a","sol2":"b","label":-1}""");
        Assert.Contains("without answers", Assert.Throws<UserErrorException>(() => TaskLibrary.Get("piqa").Requests(record, "")).Message);
        var missing = Assert.Throws<UserErrorException>(() => TaskLibrary.Get("piqa").Requests(Records.Of("""{"goal":"g"}"""), ""));
        Assert.Contains("no field 'sol1'", missing.Message);
    }

    [Fact]
    public void Mmlu_has_57_subjects_in_four_groups_and_blimp_67_sets()
    {
        Assert.Equal(57, TaskLibrary.Resolve(["mmlu"]).Count);
        Assert.Equal([19, 13, 12, 13], TaskLibrary.FindGroup("mmlu")!.Members.Select(name => TaskLibrary.Leaves(name).Count()));
        Assert.Equal(67, TaskLibrary.Resolve(["blimp", "blimp_wh_island"]).Count);
    }

    [Fact]
    public void An_unknown_task_is_told_with_the_nearest_name() =>
        Assert.Contains("did you mean 'arc_easy'", Assert.Throws<UserErrorException>(() => TaskLibrary.Resolve(["arc_esay"])).Message);

    private static double[] Values(EvaluationTask task, DataRecord record, params double[] likelihoods) =>
        [.. task.Score(record, [.. likelihoods.Select(value => new RequestScore(value, false, 1))]).Select(value => value.Value)];
}
