using System.Buffers.Binary;
using System.Text;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Inference.Tests;

/// <summary>Whatever is in a folder, it is run or refused with the one error of users; nothing is read outside of the map, which would end the process.</summary>
public sealed class DamagedFolderTests : IDisposable
{
    private const long Allowance = 64 << 20;

    private static readonly string[] Numbers = ["0", "1", "-1", "7", "96", "95", "2147483647", "4294967296", "1e300", "\"x\"", "null", "[]", "{}", "true", "0.5"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gpt2", 60)]
    [InlineData("llama", 60)]
    [InlineData("fu", 60)]
    [InlineData("a", 60)]
    public void Changed_configurations_are_run_or_refused(string name, int count)
    {
        TinyModel.Write(_folder, name);
        var original = File.ReadAllText(_folder.File("config.json"));
        var refused = 0;
        for (var seed = 0; seed < count; seed++)
        {
            File.WriteAllText(_folder.File("config.json"), MutateText(original, new Random(seed)));
            refused += Outcome($"{name}, seed {seed}") ? 0 : 1;
        }

        Assert.InRange(refused, count / 4, count);
    }

    [Theory]
    [InlineData("gpt2", 100)]
    [InlineData("fu", 100)]
    public void Changed_weight_headers_are_run_or_refused(string name, int count)
    {
        TinyModel.Write(_folder, name);
        var path = _folder.File("model.safetensors");
        var original = File.ReadAllBytes(path);
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(original);
        var header = Encoding.UTF8.GetString(original, 8, length);
        var refused = 0;
        for (var seed = 0; seed < count; seed++)
        {
            var random = new Random(seed);
            var changed = Encoding.UTF8.GetBytes(MutateText(header, random));
            var prefix = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(prefix, random.Next(8) == 0 ? random.NextInt64(-1, 1L << random.Next(1, 62)) : changed.Length);
            byte[] file = [.. prefix, .. changed, .. original.AsSpan(8 + length)];
            File.WriteAllBytes(path, random.Next(8) == 0 ? file[..random.Next(file.Length)] : file);
            refused += Outcome($"{name}, seed {seed}") ? 0 : 1;
        }

        Assert.InRange(refused, count / 4, count);
    }

    [Theory]
    [InlineData("\"width\": 96", "\"width\": 64", "shape [67, 96]")]
    [InlineData("\"heads\": 4", "\"heads\": 5", "heads")]
    [InlineData("\"repeat\": 2", "\"repeat\": 3", "'blocks.2.mixer_norm.weight'")]
    [InlineData("\"repeat\": 2", "\"repeat\": 1", "'blocks.1.")]
    [InlineData("\"repeat\": 2", "\"repeat\": 2147483647", "'blocks.2.mixer_norm.weight'")]
    public void Messages_name_file_and_field(string old, string changed, string expected)
    {
        TinyModel.Write(_folder, "gpt2");
        var text = File.ReadAllText(_folder.File("config.json"));
        Assert.Contains(old, text);
        File.WriteAllText(_folder.File("config.json"), text.Replace(old, changed));
        var message = Assert.Throws<UserErrorException>(() => InferenceModel.Load(_folder.Root)).Message;
        Assert.Contains(expected, message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Folders_that_lack_files_or_are_foreign_are_refused()
    {
        Assert.Contains("config.json", Assert.Throws<UserErrorException>(() => InferenceModel.Load(_folder.Root)).Message);
        TinyModel.Write(_folder, "gpt2");
        File.Delete(_folder.File("model.safetensors"));
        Assert.Contains("model.safetensors", Assert.Throws<UserErrorException>(() => InferenceModel.Load(_folder.Root)).Message);
        _folder.Write("config.json", """{"model_type": "gpt2", "n_embd": 4}""");
        Assert.Contains("convert", Assert.Throws<UserErrorException>(() => InferenceModel.Load(_folder.Root)).Message);
    }

    // Whether it ran. What the weights mean after a change is nobody's business; that it ends is.
    private bool Outcome(string what)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using var model = InferenceModel.Load(_folder.Root);
            using var session = model.StartSession();
            session.Append([0, 1, 1, 0]);
            session.Append([1]);
            return true;
        }
        catch (UserErrorException)
        {
            return false;
        }
        catch (Exception e)
        {
            Assert.Fail($"{what}: {e}");
            return false;
        }
        finally
        {
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before <= Allowance, what);
        }
    }

    // A number or word becomes another, or letters are exchanged, left out or repeated.
    private static string MutateText(string text, Random random)
    {
        var changed = new StringBuilder(text);
        for (var i = random.Next(1, 3); i > 0; i--)
        {
            var place = random.Next(changed.Length);
            switch (random.Next(4))
            {
                case 0:
                    changed[place] = (char)random.Next(32, 127);
                    break;
                case 1:
                    changed.Remove(place, Math.Min(random.Next(1, 20), changed.Length - place));
                    break;
                default:
                    var start = place;
                    while (start < changed.Length && !char.IsAsciiDigit(changed[start]))
                    {
                        start++;
                    }

                    var end = start;
                    while (end < changed.Length && char.IsAsciiDigit(changed[end]))
                    {
                        end++;
                    }

                    changed.Remove(start, end - start).Insert(start, Numbers[random.Next(Numbers.Length)]);
                    break;
            }
        }

        return changed.ToString();
    }
}
