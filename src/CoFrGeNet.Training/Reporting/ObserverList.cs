namespace CoFrGeNet.Training;

/// <summary>Passes what a trainer reports on to several observers, in the order in which they were added.</summary>
public sealed class ObserverList : ITrainingObserver
{
    private readonly List<ITrainingObserver> _observers = [];

    /// <summary>Adds an observer; it hears what comes from now on.</summary>
    /// <param name="observer">The observer.</param>
    public void Add(ITrainingObserver observer) => _observers.Add(observer);

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress) => _observers.ForEach(observer => observer.OnStep(progress));

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) => _observers.ForEach(observer => observer.OnEvaluation(step, result));

    /// <inheritdoc/>
    public void OnMessage(int step, string message) => _observers.ForEach(observer => observer.OnMessage(step, message));

    /// <inheritdoc/>
    public void OnSaving(int step) => _observers.ForEach(observer => observer.OnSaving(step));
}
