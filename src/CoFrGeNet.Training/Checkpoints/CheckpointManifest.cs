using System.Security.Cryptography;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>
/// The marker of a finished checkpoint, <c>DONE</c>: length and SHA-256 of each of its files. It is written last, so a checkpoint without it
/// is not finished.
/// </summary>
public sealed record CheckpointManifest
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "DONE";

    /// <summary>The checkpoint's other files.</summary>
    public required IReadOnlyList<CheckpointFile> Files { get; init; }

    /// <summary>Measures the files of a folder and writes the marker.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="names">Its files.</param>
    internal static void Write(string folder, IEnumerable<string> names)
    {
        var manifest = new CheckpointManifest { Files = [.. names.Select(name => Measure(folder, name))] };
        DurableFile.Write(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(manifest, TrainingJsonContext.Default.CheckpointManifest));
    }

    /// <summary>Reads the marker and compares every file with it.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="names">The files that a checkpoint must have; others may lie there and are not looked at.</param>
    /// <exception cref="UserErrorException">The marker or a file is missing, damaged or of another length or checksum; the message names it.</exception>
    internal static void Verify(string folder, IEnumerable<string> names)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new UserErrorException($"{path} is missing, so the checkpoint was never finished or is not whole.");
        }

        var manifest = StrictJson.Read(StrictJson.Parse(File.ReadAllText(path), path), TrainingJsonContext.Default.CheckpointManifest, path);
        foreach (var name in names)
        {
            var expected = manifest.Files.FirstOrDefault(file => file.Name == name)
                ?? throw new UserErrorException($"{path} does not list {name}, so it is damaged.");
            var file = Path.Combine(folder, name);
            if (!File.Exists(file))
            {
                throw new UserErrorException($"{file} is missing.");
            }

            // The length first: it needs no reading, and says more than a checksum.
            var length = new FileInfo(file).Length;
            if (length != expected.Bytes)
            {
                throw new UserErrorException($"{file} has {length} bytes instead of {expected.Bytes}.");
            }

            if (Measure(folder, name).Sha256 != expected.Sha256)
            {
                throw new UserErrorException($"{file} is damaged: its checksum is not the one in {FileName}.");
            }
        }
    }

    private static CheckpointFile Measure(string folder, string name)
    {
        using var stream = new FileStream(Path.Combine(folder, name), FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        return new CheckpointFile(name, stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }
}

/// <summary>One file of a checkpoint.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Its SHA-256 in hexadecimal, lower case.</param>
public sealed record CheckpointFile(string Name, long Bytes, string Sha256);
