using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Draws few-shot examples as lm-evaluation-harness does: one generator a task, seeded once, from which the records draw in their order; so
/// the examples of a record depend on how many were asked about before it.
/// </summary>
public sealed class FewShotSampler
{
    private readonly EvaluationTask _task;
    private readonly IReadOnlyList<DataRecord> _pool;
    private readonly int _count;
    private readonly PythonRandom _random;

    /// <summary>Creates the sampler of a task.</summary>
    /// <param name="task">The task.</param>
    /// <param name="pool">What is drawn from.</param>
    /// <param name="count">Examples a record; 0: none, and the pool may be empty.</param>
    /// <param name="seed">The seed; the harness' default is 1234.</param>
    /// <exception cref="UserErrorException">The pool is too small.</exception>
    public FewShotSampler(EvaluationTask task, IReadOnlyList<DataRecord> pool, int count, long seed)
    {
        if (count > 0 && pool.Count < Drawn(task, count))
        {
            throw new UserErrorException($"--num_fewshot is {count}; the split '{task.Dataset.FewShotSplit}' of {task.Name} has {pool.Count} records to draw from.");
        }

        _task = task;
        _pool = pool;
        _count = count;
        _random = new PythonRandom(seed);
    }

    /// <summary>Description and examples for the next record.</summary>
    /// <param name="record">The record that is asked about; it is not among its own examples.</param>
    public string Prefix(DataRecord record)
    {
        if (_count == 0)
        {
            return _task.Description;
        }

        var drawn = _task.TakesFirstExamples ? [.. Enumerable.Range(0, _count)] : _random.Sample(_pool.Count, Drawn(_task, _count));
        var examples = drawn.Select(i => _pool[i]).Where(example => !JsonNode.DeepEquals(example.Fields, record.Fields)).Take(_count);
        return _task.Description + string.Concat(examples.Select(example => _task.Example(example) + "\n\n"));
    }

    private static int Drawn(EvaluationTask task, int count) => task.DrawsOneMore && !task.TakesFirstExamples ? count + 1 : count;
}
