namespace CoFrGeNet.Training;

/// <summary>What sending gradients cost since the start of a training.</summary>
/// <param name="Sending">How long gradients were under way, all blocks one after the other.</param>
/// <param name="Waiting">How long the training stood still for them after its backward passes.</param>
public sealed record CommunicationTime(TimeSpan Sending, TimeSpan Waiting)
{
    /// <summary>The share of the sending that was hidden behind the computation, 0 to 1; 1 where nothing was sent.</summary>
    public double HiddenShare => Sending == TimeSpan.Zero ? 1 : Math.Clamp(1 - (Waiting / Sending), 0, 1);
}
