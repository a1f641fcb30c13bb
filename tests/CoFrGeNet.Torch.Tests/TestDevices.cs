using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests;

/// <summary>The devices of this machine; tests of modules loop over them, so that a machine with an accelerator checks it too.</summary>
internal static class TestDevices
{
    public static IReadOnlyList<Device> Available
    {
        get
        {
            List<Device> devices = [CPU];
            if (cuda.is_available())
            {
                devices.Add(CUDA);
            }

            if (mps_is_available())
            {
                devices.Add(MPS);
            }

            return devices;
        }
    }
}
