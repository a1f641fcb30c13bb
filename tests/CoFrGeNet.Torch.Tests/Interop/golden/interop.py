"""Tiny checkpoints in the formats of other programs, and the logits that those programs would compute.

    python3 tests/CoFrGeNet.Torch.Tests/Interop/golden/interop.py tests/CoFrGeNet.Torch.Tests/Interop/golden

Written from the formats' descriptions, with nothing of ours: GPT-2 and Llama 3 in the conventions of the transformers library, the public
re-implementation of CoFrGeNet-F with nested division instead of continuants, llm.c and llama2.c from their headers. All logits are float64.
Seen with Python 3.11 and torch 1.13.0 (Debian's python3-torch).
"""

import json
import math
import pathlib
import struct
import sys

import torch

torch.set_num_threads(1)
TOKENS = [[1, 5, 12, 0, 7, 7, 3, 11], [2, 2, 9, 4, 10, 6, 8, 1]]


def drawn(generator, *shape, scale=0.4, center=0.0):
    return (torch.randn(*shape, generator=generator) * scale + center).to(torch.float32)


def write_safetensors(path, tensors, dtype="F32"):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        raw = raw_bytes(value, dtype)
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def raw_bytes(value, dtype):
    if dtype == "BF16":
        return value.contiguous().to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    return value.contiguous().to(torch.float32).numpy().tobytes()


def attention(q, k, v):
    t = q.shape[-2]
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return torch.softmax(scores.masked_fill(torch.ones(t, t).tril() == 0, -math.inf), -1) @ v


def heads(x, count):
    return x.view(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def merged(x):
    return x.transpose(1, 2).flatten(2)


def layer_norm(x, weight, bias, epsilon):
    return torch.nn.functional.layer_norm(x, (x.shape[-1],), weight, bias, epsilon)


# GPT-2: Conv1D matrices are inputs x outputs.
GPT2 = dict(vocab_size=13, n_positions=16, n_embd=8, n_layer=2, n_head=2)


def gpt2_weights():
    g, p = torch.Generator().manual_seed(1), GPT2["n_embd"]
    w = {"wte.weight": drawn(g, 13, p), "wpe.weight": drawn(g, 16, p)}
    for i in range(GPT2["n_layer"]):
        h = f"h.{i}."
        w[h + "ln_1.weight"], w[h + "ln_1.bias"] = drawn(g, p, center=1), drawn(g, p)
        w[h + "attn.bias"] = torch.ones(16, 16).tril().view(1, 1, 16, 16)
        w[h + "attn.c_attn.weight"], w[h + "attn.c_attn.bias"] = drawn(g, p, 3 * p), drawn(g, 3 * p)
        w[h + "attn.c_proj.weight"], w[h + "attn.c_proj.bias"] = drawn(g, p, p), drawn(g, p)
        w[h + "ln_2.weight"], w[h + "ln_2.bias"] = drawn(g, p, center=1), drawn(g, p)
        w[h + "mlp.c_fc.weight"], w[h + "mlp.c_fc.bias"] = drawn(g, p, 4 * p), drawn(g, 4 * p)
        w[h + "mlp.c_proj.weight"], w[h + "mlp.c_proj.bias"] = drawn(g, 4 * p, p), drawn(g, p)
    w["ln_f.weight"], w["ln_f.bias"] = drawn(g, p, center=1), drawn(g, p)
    return w


def gpt2_logits(w, epsilon):
    w = {name: value.double() for name, value in w.items()}
    tokens = torch.tensor(TOKENS)
    x = w["wte.weight"][tokens] + w["wpe.weight"][: tokens.shape[1]]

    def conv1d(name, x):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    for i in range(GPT2["n_layer"]):
        h = f"h.{i}."
        y = layer_norm(x, w[h + "ln_1.weight"], w[h + "ln_1.bias"], epsilon)
        q, k, v = (heads(z, GPT2["n_head"]) for z in conv1d(h + "attn.c_attn", y).chunk(3, -1))
        x = x + conv1d(h + "attn.c_proj", merged(attention(q, k, v)))
        y = conv1d(h + "mlp.c_fc", layer_norm(x, w[h + "ln_2.weight"], w[h + "ln_2.bias"], epsilon))
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
        x = x + conv1d(h + "mlp.c_proj", y)
    return layer_norm(x, w["ln_f.weight"], w["ln_f.bias"], epsilon) @ w["wte.weight"].T


def write_gpt2(folder, w):
    folder.mkdir(exist_ok=True)
    config = dict(GPT2, model_type="gpt2", architectures=["GPT2LMHeadModel"], activation_function="gelu_new", layer_norm_epsilon=1e-4, n_inner=None)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    state = {"transformer." + name: value for name, value in w.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    torch.save(state, folder / "pytorch_model.bin")


def write_llmc(path, w, version):
    dtype, padded = {3: "F32", 5: "BF16"}[version], 16
    p, layers = GPT2["n_embd"], range(GPT2["n_layer"])
    header = [20240326, version, 16, 13, GPT2["n_layer"], GPT2["n_head"], p, padded] + [0] * 248
    data = struct.pack("<256i", *header)
    data += raw_bytes(torch.cat([w["wte.weight"], torch.zeros(padded - 13, p)]), dtype) + raw_bytes(w["wpe.weight"], dtype)
    for name in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias",
                 "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"):
        for i in layers:
            value = w[f"h.{i}.{name}"]
            # llm.c keeps outputs x inputs.
            data += raw_bytes(value.T if value.dim() == 2 else value, dtype)
    path.write_bytes(data + raw_bytes(w["ln_f.weight"], dtype) + raw_bytes(w["ln_f.bias"], dtype))


# Llama 3: grouped queries, a head size of its own, untied head, rope scaling.
LLAMA = dict(vocab_size=13, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6, max_position_embeddings=64,
             rms_norm_eps=1e-4, rope_theta=300.0, tie_word_embeddings=False, attention_bias=True)
SCALING = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=40)


def llama_weights():
    g, p, q, k, f = torch.Generator().manual_seed(2), 8, 24, 12, 12
    w = {"model.embed_tokens.weight": drawn(g, 13, p), "model.norm.weight": drawn(g, p, center=1), "lm_head.weight": drawn(g, 13, p)}
    for i in range(2):
        h = f"model.layers.{i}."
        w[h + "input_layernorm.weight"], w[h + "post_attention_layernorm.weight"] = drawn(g, p, center=1), drawn(g, p, center=1)
        for name, rows, columns in (("q", q, p), ("k", k, p), ("v", k, p), ("o", p, q)):
            w[h + f"self_attn.{name}_proj.weight"], w[h + f"self_attn.{name}_proj.bias"] = drawn(g, rows, columns), drawn(g, rows)
        w[h + "self_attn.rotary_emb.inv_freq"] = torch.zeros(3)
        for name, rows, columns in (("gate", f, p), ("up", f, p), ("down", p, f)):
            w[h + f"mlp.{name}_proj.weight"] = drawn(g, rows, columns)
    return w


def llama_frequencies():
    # The case distinction of the transformers library, wavelength by wavelength.
    size, result = LLAMA["head_dim"], []
    low = SCALING["original_max_position_embeddings"] / SCALING["low_freq_factor"]
    high = SCALING["original_max_position_embeddings"] / SCALING["high_freq_factor"]
    for i in range(0, size, 2):
        frequency = 1.0 / LLAMA["rope_theta"] ** (i / size)
        wavelength = 2 * math.pi / frequency
        if wavelength > low:
            frequency /= SCALING["factor"]
        elif wavelength > high:
            smooth = (SCALING["original_max_position_embeddings"] / wavelength - SCALING["low_freq_factor"]) / (SCALING["high_freq_factor"] - SCALING["low_freq_factor"])
            frequency = (1 - smooth) * frequency / SCALING["factor"] + smooth * frequency
        result.append(frequency)
    return result


def llama_logits(w):
    w = {name: value.double() for name, value in w.items()}
    tokens = torch.tensor(TOKENS)
    frequencies = torch.tensor(llama_frequencies(), dtype=torch.float64)
    angles = torch.arange(tokens.shape[1], dtype=torch.float64)[:, None] * frequencies
    angles = torch.cat([angles, angles], -1)

    def rotate(x):
        half = x.shape[-1] // 2
        return x * angles.cos() + torch.cat([-x[..., half:], x[..., :half]], -1) * angles.sin()

    def rms(x, weight):
        return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + LLAMA["rms_norm_eps"])

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(2):
        h = f"model.layers.{i}."

        def linear(name, x):
            y = x @ w[h + name + ".weight"].T
            return y + w[h + name + ".bias"] if h + name + ".bias" in w else y

        y = rms(x, w[h + "input_layernorm.weight"])
        q, k, v = heads(linear("self_attn.q_proj", y), 4), heads(linear("self_attn.k_proj", y), 2), heads(linear("self_attn.v_proj", y), 2)
        q, k = rotate(q), rotate(k)
        k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
        x = x + linear("self_attn.o_proj", merged(attention(q, k, v)))
        y = rms(x, w[h + "post_attention_layernorm.weight"])
        gate = linear("mlp.gate_proj", y)
        x = x + linear("mlp.down_proj", gate * torch.sigmoid(gate) * linear("mlp.up_proj", y))
    return rms(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def write_llama(folder, w):
    folder.mkdir(exist_ok=True)
    config = dict(LLAMA, rope_scaling=SCALING, model_type="llama", architectures=["LlamaForCausalLM"], hidden_act="silu", bos_token_id=1, eos_token_id=[2, 3], torch_dtype="float32")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    names = sorted(w)
    shards = [names[: len(names) // 2], names[len(names) // 2 :]]
    index = {"metadata": {"total_size": sum(4 * v.numel() for v in w.values())}, "weight_map": {}}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-00002.safetensors"
        write_safetensors(folder / file, {name: w[name] for name in shard})
        index["weight_map"].update({name: file for name in shard})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


# The public re-implementation: L = 3 elementwise ladders of depth 5, sigmoid gate, U on the ungated input, no biases.
PUBLIC = dict(n_layer=2, n_head=2, n_embd=8, block_size=16, vocab_size=13, num_ladders=3, cf_depth=5, epsilon=0.01)


def public_weights():
    g, p = torch.Generator().manual_seed(3), 8
    w = {"lm_head.weight": drawn(g, 13, p), "pos_emb.weight": drawn(g, 16, p)}
    for i in range(2):
        h = f"blocks.{i}."
        w[h + "ln1.weight"], w[h + "ln2.weight"] = drawn(g, p, center=1), drawn(g, p, center=1)
        w[h + "attn.qkv.weight"], w[h + "attn.out_proj.weight"] = drawn(g, 3 * p, p), drawn(g, p, p)
        w[h + "ffn.U.weight"], w[h + "ffn.gate_proj.weight"], w[h + "ffn.V"] = drawn(g, p, p), drawn(g, p, p), drawn(g, p, 3)
        for j in range(3):
            w[h + f"ffn.ladder_weights.{j}"] = drawn(g, p, 5, scale=0.7)
    w["ln_f.weight"] = drawn(g, p, center=1)
    return w


def public_logits(w):
    w = {name: value.double() for name, value in w.items()}
    tokens = torch.tensor(TOKENS)
    x = w["lm_head.weight"][tokens] + w["pos_emb.weight"][: tokens.shape[1]]
    for i in range(2):
        h = f"blocks.{i}."
        y = layer_norm(x, w[h + "ln1.weight"], None, 1e-5)
        q, k, v = (heads(z, 2) for z in (y @ w[h + "attn.qkv.weight"].T).chunk(3, -1))
        x = x + merged(attention(q, k, v)) @ w[h + "attn.out_proj.weight"].T
        y = layer_norm(x, w[h + "ln2.weight"], None, 1e-5)
        gated = torch.sigmoid(y @ w[h + "ffn.gate_proj.weight"].T) * y
        out = y @ w[h + "ffn.U.weight"].T
        for j in range(3):
            a = [gated * w[h + f"ffn.ladder_weights.{j}"][:, k] for k in range(5)]
            denominators = [torch.ones_like(gated), a[4]]
            for k in (3, 2, 1, 0):
                denominators.append(a[k] * denominators[-1] + denominators[-2])
            last = denominators[-1]
            last = torch.where(last.abs() < PUBLIC["epsilon"], torch.where(last < 0, -1.0, 1.0) * PUBLIC["epsilon"], last)
            out = out + w[h + "ffn.V"][:, j] * denominators[-2] / last
        x = x + out
    return layer_norm(x, w["ln_f.weight"], None, 1e-5) @ w["lm_head.weight"].T


def rounded(logits):
    return [float(f"{value:.9g}") for value in logits.flatten().tolist()]


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    gpt2, llama, public = gpt2_weights(), llama_weights(), public_weights()
    write_gpt2(root / "gpt2", gpt2)
    write_llama(root / "llama", llama)
    (root / "public").mkdir(exist_ok=True)
    write_safetensors(root / "public" / "final.safetensors", public)
    torch.save({"model": {"_orig_mod." + name: value for name, value in public.items()}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "config": PUBLIC, "step": 7},
               root / "public" / "checkpoint.pt")
    write_llmc(root / "llmc_f32.bin", gpt2, 3)
    write_llmc(root / "llmc_bf16.bin", gpt2, 5)
    half = {name: value.to(torch.bfloat16).float() for name, value in gpt2.items()}
    expected = {
        "tokens": TOKENS,
        "gpt2": rounded(gpt2_logits(gpt2, 1e-4)),
        "llama": rounded(llama_logits(llama)),
        "llamaFrequencies": llama_frequencies(),
        "public": rounded(public_logits(public)),
        "llmc_f32": rounded(gpt2_logits(gpt2, 1e-5)),
        "llmc_bf16": rounded(gpt2_logits(half, 1e-5)),
    }
    (root / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
