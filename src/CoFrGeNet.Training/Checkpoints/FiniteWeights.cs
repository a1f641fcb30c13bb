using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Looks at weights before they are saved: the loss of the next step would tell too, but by then the checkpoint would have pushed out a good one.</summary>
internal static class FiniteWeights
{
    /// <summary>Requires that every weight is a finite number.</summary>
    /// <param name="model">The model.</param>
    /// <param name="step">Steps done, for the message.</param>
    /// <exception cref="TrainingFailedException">One is not.</exception>
    public static void Require(LanguageModel model, int step)
    {
        using var quiet = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            using var scope = NewDisposeScope();
            if (!parameter.isfinite().all().item<bool>())
            {
                throw new TrainingFailedException(
                    $"The weights '{name}' are no longer finite numbers after step {step}, so no checkpoint was written. Lower training.learningRate or give ladders the guard 'positive', then resume from the last checkpoint.");
            }
        }
    }
}
