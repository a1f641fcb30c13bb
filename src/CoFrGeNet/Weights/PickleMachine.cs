using System.Buffers.Binary;
using System.Text;

namespace CoFrGeNet.Weights;

/// <summary>
/// Reads the pickle of a PyTorch checkpoint and nothing else: containers, numbers, strings and tensors. Nothing is executed and nothing is
/// looked up: a name outside the short list below, or an operation that such files do not need, ends the reading with an error.
/// Memory is bounded by <see cref="MaxLength"/> and <see cref="MaxOperations"/>.
/// </summary>
internal ref struct PickleMachine
{
    /// <summary>The longest pickle that is read, in bytes; 20,000 tensors take 4 MB.</summary>
    public const int MaxLength = 16 << 20;

    /// <summary>The most operations that are carried out; a tensor takes about 25.</summary>
    public const int MaxOperations = 500_000;

    private const int MaxDimensions = 16;
    private const string OrderedDictionary = "collections OrderedDict";
    private const string RebuildTensor = "torch._utils _rebuild_tensor_v2";
    private const string RebuildParameter = "torch._utils _rebuild_parameter";
    private const string Size = "torch Size";

    private static readonly Dictionary<string, TensorDType> Storages = new(StringComparer.Ordinal)
    {
        ["torch DoubleStorage"] = TensorDType.F64,
        ["torch FloatStorage"] = TensorDType.F32,
        ["torch HalfStorage"] = TensorDType.F16,
        ["torch BFloat16Storage"] = TensorDType.BF16,
        ["torch LongStorage"] = TensorDType.I64,
        ["torch IntStorage"] = TensorDType.I32,
        ["torch ShortStorage"] = TensorDType.I16,
        ["torch CharStorage"] = TensorDType.I8,
        ["torch ByteStorage"] = TensorDType.U8,
        ["torch BoolStorage"] = TensorDType.Bool,
    };

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly string _path;
    private readonly ReadOnlySpan<byte> _pickle;
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private int _position;

    private PickleMachine(string path, ReadOnlySpan<byte> pickle)
    {
        _path = path;
        _pickle = pickle;
    }

    /// <summary>The names that a pickle may refer to, module and name with a space between.</summary>
    public static IEnumerable<string> AllowedNames => [OrderedDictionary, RebuildTensor, RebuildParameter, Size, .. Storages.Keys];

    /// <summary>Reads a pickle.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="pickle">Its bytes.</param>
    /// <returns>null, bool, long, double, string, or one of the types of PickleValues.cs.</returns>
    /// <exception cref="WeightsFormatException">The pickle is damaged, or holds more than tensors and plain values.</exception>
    public static object? Read(string path, ReadOnlySpan<byte> pickle) => new PickleMachine(path, pickle).Run();

    private object? Run()
    {
        for (var operations = 0; operations < MaxOperations; operations++)
        {
            var code = Bytes(1)[0];
            if (code == (byte)'.')
            {
                return _marks.Count == 0 && _stack.Count == 1 ? _stack[0] : throw Fail("the pickle ends with an unfinished value");
            }

            Step(code);
        }

        throw Fail($"the pickle takes more than {MaxOperations} operations");
    }

    private void Step(byte code)
    {
        switch ((char)code)
        {
            case '\x80': // PROTO
                CheckProtocol(Bytes(1)[0]);
                break;
            case '\x95': // FRAME
                _ = Bytes(8);
                break;
            case '(': // MARK
                _marks.Add(_stack.Count);
                break;
            case '}': // EMPTY_DICT
                _stack.Add(new PickleDictionary());
                break;
            case ']': // EMPTY_LIST
                _stack.Add(new PickleList());
                break;
            case ')': // EMPTY_TUPLE
                _stack.Add(new PickleTuple([]));
                break;
            case 't': // TUPLE
                _stack.Add(new PickleTuple(PopMarked()));
                break;
            case '\x85' or '\x86' or '\x87': // TUPLE1, TUPLE2, TUPLE3
                _stack.Add(new PickleTuple(PopItems(code - 0x84)));
                break;
            case 'N': // NONE
                _stack.Add(null);
                break;
            case '\x88' or '\x89': // NEWTRUE, NEWFALSE
                _stack.Add(code == 0x88);
                break;
            default:
                StepNumbersAndTexts(code);
                break;
        }
    }

    private void StepNumbersAndTexts(byte code)
    {
        switch ((char)code)
        {
            case 'J': // BININT
                _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Bytes(4)));
                break;
            case 'K': // BININT1
                _stack.Add((long)Bytes(1)[0]);
                break;
            case 'M': // BININT2
                _stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2)));
                break;
            case '\x8a': // LONG1
                _stack.Add(Integer(Bytes(Bytes(1)[0])));
                break;
            case 'G': // BINFLOAT
                _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Bytes(8)));
                break;
            case 'X': // BINUNICODE
                _stack.Add(Text(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))));
                break;
            case '\x8c': // SHORT_BINUNICODE
                _stack.Add(Text(Bytes(1)[0]));
                break;
            case 'c': // GLOBAL
                _stack.Add(Global($"{Line()} {Line()}"));
                break;
            case '\x93': // STACK_GLOBAL
                var names = PopItems(2);
                _stack.Add(Global($"{names[0] as string} {names[1] as string}"));
                break;
            default:
                StepMemoAndContainers(code);
                break;
        }
    }

    private void StepMemoAndContainers(byte code)
    {
        switch ((char)code)
        {
            case 'q': // BINPUT
                _memo[Bytes(1)[0]] = Top();
                break;
            case 'r': // LONG_BINPUT
                _memo[BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))] = Top();
                break;
            case '\x94': // MEMOIZE
                _memo[_memo.Count] = Top();
                break;
            case 'h': // BINGET
                _stack.Add(Remembered(Bytes(1)[0]));
                break;
            case 'j': // LONG_BINGET
                _stack.Add(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4))));
                break;
            case 'a': // APPEND
                Append(PopItems(1));
                break;
            case 'e': // APPENDS
                Append(PopMarked());
                break;
            case 's': // SETITEM
                SetItems(PopItems(2));
                break;
            case 'u': // SETITEMS
                SetItems(PopMarked());
                break;
            case 'Q': // BINPERSID
                _stack.Add(Storage(PopItems(1)[0]));
                break;
            case 'R': // REDUCE
                var call = PopItems(2);
                _stack.Add(Call(call[0], call[1]));
                break;
            case 'b': // BUILD
                Build(PopItems(1)[0]);
                break;
            default:
                throw Fail($"the pickle asks for operation 0x{code:x2}, which a file of tensors does not need; only tensors in containers are read");
        }
    }

    private readonly void CheckProtocol(byte version)
    {
        if (version is < 2 or > 5)
        {
            throw Fail($"the pickle has protocol {version}; 2 to 5 are read");
        }
    }

    private readonly PickleGlobal Global(string name) => name is OrderedDictionary or RebuildTensor or RebuildParameter or Size || Storages.ContainsKey(name)
        ? new PickleGlobal(name)
        : throw Fail($"the pickle refers to '{SafeTensorsHeader.Shorten(name)}', which is not on the list of what a file of tensors needs; save the state dict alone");

    private readonly object? Call(object? callee, object? arguments)
    {
        if (callee is not PickleGlobal { Name: var name } || arguments is not PickleTuple { Items: var items })
        {
            throw Fail("the pickle calls something that is no function");
        }

        return (name, items) switch
        {
            (OrderedDictionary, []) => new PickleDictionary(),
            (RebuildTensor, [PickleStorage storage, long offset, PickleTuple size, PickleTuple strides, bool, PickleDictionary, ..]) when items.Length <= 7 =>
                Tensor(storage, offset, size, strides),
            (RebuildParameter, [PickleTensor tensor, bool, PickleDictionary]) => tensor,
            (Size, [PickleTuple extents]) => extents,
            _ => throw Fail($"the pickle calls '{name}' with arguments that do not fit"),
        };
    }

    private readonly void Build(object? state)
    {
        // torch.save keeps a state dict's version numbers as an attribute; nothing here needs them.
        if (Top() is not PickleDictionary || state is not PickleDictionary)
        {
            throw Fail("the pickle sets the state of an object; only tensors in containers are read");
        }
    }

    private readonly PickleStorage Storage(object? id)
    {
        if (id is not PickleTuple { Items: ["storage", PickleGlobal { Name: var type }, string key, string, long count] } || !Storages.TryGetValue(type, out var dtype))
        {
            throw Fail("the pickle refers to a storage in an unknown way");
        }

        var isPlain = key.Length is > 0 and <= 100 && key.All(c => char.IsAsciiLetterOrDigit(c) || c == '_');
        return isPlain && count >= 0 && count <= long.MaxValue / dtype.SizeInBytes()
            ? new PickleStorage(key, dtype, count)
            : throw Fail($"the pickle names a storage '{SafeTensorsHeader.Shorten(key)}' of {count} elements");
    }

    private readonly PickleTensor Tensor(PickleStorage storage, long offset, PickleTuple size, PickleTuple strides)
    {
        long[] shape = Extents(size), steps = Extents(strides);
        if (shape.Length != steps.Length || shape.Length > MaxDimensions || offset < 0 || offset > storage.Count)
        {
            throw Fail($"a tensor of storage '{storage.Key}' has an impossible shape, stride or offset");
        }

        // In Int128, where nothing of this size overflows: each factor is below 2^63 and the sums stop at the first excess.
        Int128 elements = 1, last = offset;
        for (var i = 0; i < shape.Length; i++)
        {
            elements = shape.Contains(0) ? 0 : elements * shape[i];
            last += shape[i] > 0 ? (Int128)(shape[i] - 1) * steps[i] : 0;
            if (elements > storage.Count || (elements > 0 && last >= storage.Count))
            {
                throw Fail($"a tensor shows more elements than its storage '{storage.Key}' of {storage.Count} holds; clone expanded tensors before saving them");
            }
        }

        return elements == 0 || last < storage.Count
            ? new PickleTensor(storage, offset, shape, steps)
            : throw Fail($"a tensor begins after the end of its storage '{storage.Key}' of {storage.Count}");
    }

    private readonly long[] Extents(PickleTuple tuple)
    {
        var extents = new long[Math.Min(tuple.Items.Length, MaxDimensions + 1)];
        for (var i = 0; i < extents.Length; i++)
        {
            extents[i] = tuple.Items[i] is long value and >= 0 ? value : throw Fail("a tensor has an extent or a stride that is not a whole number from 0");
        }

        return extents;
    }

    private readonly void Append(object?[] items)
    {
        if (Top() is not PickleList list)
        {
            throw Fail("the pickle appends to something that is no list");
        }

        list.Add(items);
    }

    private readonly void SetItems(object?[] items)
    {
        if (Top() is not PickleDictionary dictionary || items.Length % 2 != 0)
        {
            throw Fail("the pickle sets entries of something that is no dictionary");
        }

        for (var i = 0; i < items.Length; i += 2)
        {
            dictionary.Add(items[i], items[i + 1]);
        }
    }

    private readonly object? Top() => _stack.Count > Floor() ? _stack[^1] : throw Fail("the pickle takes from an empty stack");

    private readonly int Floor() => _marks.Count > 0 ? _marks[^1] : 0;

    private readonly object? Remembered(long index) =>
        _memo.TryGetValue(index, out var value) ? value : throw Fail("the pickle remembers something that it never kept");

    private readonly object?[] PopItems(int count)
    {
        if (_stack.Count - count < Floor())
        {
            throw Fail("the pickle takes from an empty stack");
        }

        var items = _stack.GetRange(_stack.Count - count, count).ToArray();
        _stack.RemoveRange(_stack.Count - count, count);
        return items;
    }

    private readonly object?[] PopMarked()
    {
        if (_marks.Count == 0)
        {
            throw Fail("the pickle closes a group that it never opened");
        }

        var count = _stack.Count - _marks[^1];
        var items = PopItems(count);
        _marks.RemoveAt(_marks.Count - 1);
        return items;
    }

    private readonly long Integer(ReadOnlySpan<byte> littleEndian)
    {
        if (littleEndian.Length > 8)
        {
            throw Fail("the pickle holds an integer of more than 64 bits");
        }

        Span<byte> padded = stackalloc byte[8];
        padded.Fill(littleEndian.Length > 0 && littleEndian[^1] >= 0x80 ? (byte)0xff : (byte)0);
        littleEndian.CopyTo(padded);
        return BinaryPrimitives.ReadInt64LittleEndian(padded);
    }

    private string Text(uint length)
    {
        try
        {
            return StrictUtf8.GetString(Bytes(length));
        }
        catch (DecoderFallbackException e)
        {
            throw new WeightsFormatException(_path, "the pickle holds a string that is not valid UTF-8", e);
        }
    }

    private string Line()
    {
        var end = _pickle[_position..].IndexOf((byte)'\n');
        if (end is < 0 or > 200)
        {
            throw Fail("the pickle refers to a name that does not end");
        }

        var name = Encoding.ASCII.GetString(Bytes((uint)end));
        _position++;
        return name;
    }

    private ReadOnlySpan<byte> Bytes(uint count)
    {
        if (count > _pickle.Length - _position)
        {
            throw Fail("the pickle ends early");
        }

        var bytes = _pickle.Slice(_position, (int)count);
        _position += (int)count;
        return bytes;
    }

    private readonly WeightsFormatException Fail(string reason) => new(_path, reason);
}
