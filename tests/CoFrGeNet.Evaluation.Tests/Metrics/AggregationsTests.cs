namespace CoFrGeNet.Evaluation.Tests;

public class AggregationsTests
{
    [Fact]
    public void A_mean_has_the_sample_deviation_over_the_root_of_n()
    {
        MetricValue[] values = [new(1), new(0), new(0), new(1), new(1)];
        Assert.Equal(0.6, Aggregations.Apply(Aggregation.Mean, values), 15);
        // Deviations .4 .6 .6 .4 .4: squares sum to 1.2, /4 = .3, root .5477, / root 5.
        Assert.Equal(Math.Sqrt(0.3 / 5), Aggregations.StandardError(Aggregation.Mean, values, 1)!.Value, 15);
    }

    [Fact]
    public void Perplexities_weigh_as_their_names_say()
    {
        MetricValue[] values = [new(-4, 2), new(-8, 4)];
        Assert.Equal(Math.Exp(6), Aggregations.Apply(Aggregation.Perplexity, values), 10);
        Assert.Equal(Math.Exp(2), Aggregations.Apply(Aggregation.WeightedPerplexity, values), 12);
        Assert.Equal(2 / Math.Log(2), Aggregations.Apply(Aggregation.BitsPerByte, values), 12);
        Assert.Null(Aggregations.StandardError(Aggregation.WeightedPerplexity, values, 1000));
    }

    [Fact]
    public void Where_there_is_one_document_or_no_bootstrap_there_is_no_error()
    {
        Assert.Null(Aggregations.StandardError(Aggregation.Mean, [new(1)], 1000));
        Assert.Null(Aggregations.StandardError(Aggregation.Mean, [new(1), new(0)], 0));
    }

    [Fact]
    public void Groups_weigh_by_size_and_pool_their_errors()
    {
        Assert.Equal(0.7, Aggregations.GroupMean([(0.5, 1), (0.75, 4)]), 15);
        // ((2-1) 2 0.1^2 + (3-1) 3 0.2^2) / (5 - 2) / 5
        Assert.Equal(Math.Sqrt((0.02 + 0.24) / 3 / 5), Aggregations.PooledStandardError([(0.1, 2), (0.2, 3)]), 15);
    }
}
