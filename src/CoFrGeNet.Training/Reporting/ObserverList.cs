namespace CoFrGeNet.Training;

/// <summary>Passes on what a trainer reports to several observers, in order.</summary>
public sealed class ObserverList : ITrainingObserver
{
    private readonly List<ITrainingObserver> _observers;

    /// <summary>Creates the list.</summary>
    /// <param name="observers">The observers.</param>
    public ObserverList(IEnumerable<ITrainingObserver> observers) => _observers = [.. observers];

    /// <summary>Adds an observer at the end.</summary>
    /// <param name="observer">The observer.</param>
    public void Add(ITrainingObserver observer) => _observers.Add(observer);

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress) => _observers.ForEach(observer => observer.OnStep(progress));

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) => _observers.ForEach(observer => observer.OnEvaluation(step, result));

    /// <inheritdoc/>
    public void OnMessage(int step, string message) => _observers.ForEach(observer => observer.OnMessage(step, message));
}
