using System.Globalization;

namespace CoFrGeNet.Cli;

/// <summary>Numbers as people read them.</summary>
internal static class Amounts
{
    private static readonly (double Size, string Unit)[] Units = [(1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")];

    /// <summary>Four digits and a unit: 1.558B.</summary>
    public static string Count(double value)
    {
        var (size, unit) = Units.FirstOrDefault(entry => value >= entry.Size, (1, string.Empty));
        var scaled = value / size;
        var format = unit.Length == 0 ? "0" : scaled >= 100 ? "0.0" : scaled >= 10 ? "0.00" : "0.000";
        return scaled.ToString(format, CultureInfo.InvariantCulture) + unit;
    }

    /// <summary>Mebibytes or gibibytes.</summary>
    public static string Bytes(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0} MiB");

    /// <summary>Hours, minutes, seconds: 1:02:03, or 2:03.</summary>
    public static string Duration(double seconds)
    {
        var span = TimeSpan.FromSeconds(Math.Round(Math.Clamp(seconds, 0, 1e9)));
        return span.TotalHours >= 1
            ? string.Create(CultureInfo.InvariantCulture, $"{(long)span.TotalHours}:{span.Minutes:D2}:{span.Seconds:D2}")
            : string.Create(CultureInfo.InvariantCulture, $"{span.Minutes}:{span.Seconds:D2}");
    }
}
