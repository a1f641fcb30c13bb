namespace CoFrGeNet.Training.Tests;

/// <summary>Keeps everything that a trainer reports, and may act after a step.</summary>
internal sealed class RecordingObserver : ITrainingObserver
{
    public List<TrainingProgress> Steps { get; } = [];

    public List<(int Step, EvaluationResult Result)> Evaluations { get; } = [];

    public List<(int Step, string Text)> Messages { get; } = [];

    public Action<TrainingProgress>? AfterStep { get; set; }

    public IEnumerable<double> Losses => Steps.Select(step => step.Loss);

    public void OnStep(TrainingProgress progress)
    {
        Steps.Add(progress);
        AfterStep?.Invoke(progress);
    }

    public void OnEvaluation(int step, EvaluationResult result) => Evaluations.Add((step, result));

    public void OnMessage(int step, string message) => Messages.Add((step, message));
}
