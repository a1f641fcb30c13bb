namespace CoFrGeNet.Training.Tests.Distributed;

public class BucketLayoutTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(1 << 20)]
    public void Every_parameter_has_one_place_and_every_element_one_rank(long elements)
    {
        var random = new Random(7);
        for (var round = 0; round < 50; round++)
        {
            var ranks = random.Next(1, 9);
            BucketParameter[] parameters = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => new BucketParameter(random.Next(1, 200), random.Next(-1, 5), random.Next(0, 3)))];
            var buckets = BucketLayout.Create(parameters, elements, ranks);
            Assert.Equal(Enumerable.Range(0, parameters.Length), buckets.SelectMany(bucket => bucket.Entries.Select(entry => entry.Parameter)).Order());
            foreach (var bucket in buckets)
            {
                Assert.Equal(0, bucket.Elements % ranks);
                Assert.Single(bucket.Entries.Select(entry => parameters[entry.Parameter].Phase).Distinct());
                // Ready no sooner than its last gradient.
                Assert.Equal(bucket.ReadyLayer, bucket.Entries.Min(entry => parameters[entry.Parameter].Layer));
                var end = 0L;
                foreach (var (parameter, offset) in bucket.Entries)
                {
                    Assert.Equal(end, offset);
                    end += parameters[parameter].Elements;
                    var first = 0L;
                    for (var rank = 0; rank < ranks; rank++)
                    {
                        var part = BucketLayout.Part(bucket, offset, parameters[parameter].Elements, rank, ranks);
                        Assert.Equal(first, part.Count == 0 ? first : part.First);
                        first += part.Count;
                    }

                    Assert.Equal(parameters[parameter].Elements, first);
                }

                Assert.InRange(bucket.Elements - end, 0, ranks - 1);
            }

            Assert.Equal(buckets.Select(bucket => bucket.ReadyLayer).OrderDescending(), buckets.Select(bucket => bucket.ReadyLayer));
        }
    }

    [Fact]
    public void What_is_complete_before_the_embeddings_does_not_wait_for_them()
    {
        var buckets = BucketLayout.Create([new BucketParameter(10, -1, 0), new BucketParameter(10, 0, 0), new BucketParameter(10, 1, 0)], 1000, 2);
        Assert.Equal([0, -1], buckets.Select(bucket => bucket.ReadyLayer));
        Assert.Equal([2, 1], buckets[0].Entries.Select(entry => entry.Parameter));
    }
}
