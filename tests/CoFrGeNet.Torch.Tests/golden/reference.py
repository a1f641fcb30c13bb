"""Golden values from an independent implementation in PyTorch, float64.

    COFRGENET_GOLDEN_INPUT=/tmp/golden dotnet run --project tests/CoFrGeNet.Torch.Tests -- -class CoFrGeNet.Torch.Tests.Models.GoldenTests
    python3 tests/CoFrGeNet.Torch.Tests/golden/reference.py /tmp/golden > tests/CoFrGeNet.Torch.Tests/golden/reference.json

The first command writes every model of GoldenModels.cs as config.json, model.safetensors and tokens.json; weights are sines, so none are
committed. The script reads them with nothing of ours and writes logits, loss, gradient norms and the losses of 5 AdamW steps. It is
written from the paper: ladders are nested continuants with plain autograd. Seen with Python 3.11 and torch 1.13.0 (Debian's python3-torch).
"""

import json
import math
import pathlib
import struct
import sys

import torch

torch.set_num_threads(1)


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32"
        first, last = entry["data_offsets"]
        values = struct.unpack(f"<{(last - first) // 4}f", data[8 + length + first : 8 + length + last])
        tensors[name] = torch.tensor(values, dtype=torch.float64).reshape(entry["shape"])
    return tensors


def continuant(a):
    if not a:
        return 1.0
    if len(a) == 1:
        return a[0]
    return a[0] * continuant(a[1:]) + continuant(a[2:])


def ladder(a, guard):
    if guard["type"] == "positive":
        a = [torch.log1p(torch.exp(x)) + guard["epsilon"] for x in a]
        return continuant(a[1:]) / continuant(a)
    assert guard["type"] == "smooth"
    below = continuant(a)
    return continuant(a[1:]) * below / (below**2 + guard["epsilon"] ** 2)


def norm(config, w, name, x):
    if config["norm"]["kind"] == "rmsNorm":
        return w[f"{name}.weight"] * x / torch.sqrt((x * x).mean(-1, keepdim=True) + config["norm"]["epsilon"])
    centered = x - x.mean(-1, keepdim=True)
    deviation = torch.sqrt((centered**2).mean(-1, keepdim=True) + config["norm"]["epsilon"])
    return w[f"{name}.weight"] * centered / deviation + w[f"{name}.bias"]


def linear(w, name, x):
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def causal_softmax(scores):
    t = scores.shape[-1]
    return torch.softmax(scores.masked_fill(torch.ones(t, t).tril() == 0, -math.inf), -1)


def frequencies(rotary, size):
    result = []
    for i in range(size // 2):
        f = rotary["theta"] ** (-2 * i / size)
        s = rotary.get("scaling")
        if s:
            wavelength = 2 * math.pi / f
            if wavelength > s["originalContextLength"] / s["lowFrequencyFactor"]:
                f /= s["factor"]
            elif wavelength > s["originalContextLength"] / s["highFrequencyFactor"]:
                b = (s["originalContextLength"] / wavelength - s["lowFrequencyFactor"]) / (s["highFrequencyFactor"] - s["lowFrequencyFactor"])
                f = (1 - b) * f / s["factor"] + b * f
        result.append(f)
    return result


def turn(x, freqs):
    half = len(freqs)
    angles = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * torch.tensor(freqs, dtype=torch.float64)
    z = torch.complex(x[..., :half], x[..., half:]) * torch.complex(angles.cos(), angles.sin())
    return torch.cat([z.real, z.imag], -1)


def attention(c, w, name, x):
    b, t, p = x.shape
    heads, groups = c["heads"], c.get("keyValueHeads") or c["heads"]
    size = c.get("headSize") or p // heads
    q, k, v = linear(w, f"{name}.qkv", x).split([heads * size, groups * size, groups * size], -1)
    q = q.view(b, t, heads, size).transpose(1, 2)
    k, v = (y.view(b, t, groups, size).transpose(1, 2) for y in (k, v))
    if c.get("rotary"):
        freqs = frequencies(c["rotary"], size)
        q, k = turn(q, freqs), turn(k, freqs)
    k, v = (y.repeat_interleave(heads // groups, 1) for y in (k, v))
    y = causal_softmax(q @ k.transpose(2, 3) / math.sqrt(size)) @ v
    return linear(w, f"{name}.output", y.transpose(1, 2).reshape(b, t, heads * size))


def projected(c, w, name, x):
    a = []
    for k in range(c["depth"]):
        a_k = x @ w[f"{name}.levels.{k}"].T
        a.append(a_k + w[f"{name}.biases.{k}"] if f"{name}.biases.{k}" in w else a_k)
    return ladder(a, c["guard"])


def cattnm(c, w, name, x):
    b, t, p = x.shape
    heads = c["heads"]
    z = projected(c["ladders"], w, f"{name}.ladders", x).view(b, t, heads, -1).transpose(1, 2)
    logits = z @ w[f"{name}.positions"][:, :t].transpose(1, 2)
    v = linear(w, f"{name}.value", x).view(b, t, heads, p // heads).transpose(1, 2)
    return (causal_softmax(logits) @ v).transpose(1, 2).reshape(b, t, p)


def cattnu(c, w, name, x):
    t = x.shape[1]
    triangles = w[f"{name}.triangles"]
    u = [triangles[:t, :t].tril(), triangles[:t, 1 : t + 1].triu().T]
    mixed = []
    for e in range(2):
        a = [w[f"{name}.levels.{k}"][e, :t, None] * x for k in range(c["depth"] - 1)]
        mixed.append(u[e] @ (w[f"{name}.linear"][e, :t, None] * x + ladder(a, c["guard"])))
    return mixed[0] * mixed[1]


def cffn(c, w, name, x):
    gate = linear(w, f"{name}.gate", x)
    g = x * (gate * torch.sigmoid(gate) if c["gate"] == "silu" else torch.sigmoid(gate))
    y = linear(w, f"{name}.linear", g if c["linearOnGated"] else x)
    ladders, combine = c["ladders"], w[f"{name}.combine.weight"]
    if ladders["kind"] == "projected":
        return y + projected(ladders, w, f"{name}.ladders", g) @ combine.T
    for j in range(ladders["count"]):
        part = slice(j * x.shape[-1], (j + 1) * x.shape[-1])
        a = [w[f"{name}.ladders.levels.{k}"][j] * g + w[f"{name}.ladders.biases.{k}"][part] for k in range(ladders["depth"])]
        y = y + combine[j] * ladder(a, ladders["guard"])
    return y


def mlp(c, w, name, x):
    h = linear(w, f"{name}.up", x)
    return linear(w, f"{name}.down", 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))))


def swiglu(c, w, name, x):
    gate = linear(w, f"{name}.gate", x)
    return linear(w, f"{name}.down", gate * torch.sigmoid(gate) * linear(w, f"{name}.up", x))


PARTS = {"attention": attention, "cattnm": cattnm, "cattnu": cattnu, "cffn": cffn, "mlp": mlp, "swiGlu": swiglu}


def forward(config, w, tokens):
    x = w["token_embedding"][tokens]
    if config["learnedPositions"]:
        x = x + w["position_embedding"][: tokens.shape[1]]
    layers = [block for block in config["blocks"] for _ in range(block["repeat"])]
    for i, block in enumerate(layers):
        for part, member in (("mixer", "mixer"), ("feed_forward", "feedForward")):
            c, name = block[member], f"blocks.{i}.{part}"
            x = x + PARTS[c["type"]](c, w, name, norm(config, w, f"{name}_norm", x))
    return norm(config, w, "final_norm", x) @ (w["token_embedding"] if config["tiedHead"] else w["head.weight"]).T


def loss_of(config, w, tokens, targets):
    logits = forward(config, w, tokens)
    return -torch.log_softmax(logits, -1).gather(-1, targets[..., None]).mean()


def golden(folder):
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    w = {name: value.requires_grad_() for name, value in tensors.items() if ".range." not in name}
    data = json.loads((folder / "tokens.json").read_text())
    tokens, targets = torch.tensor(data["tokens"]), torch.tensor(data["targets"])
    logits = forward(config, w, tokens)
    loss = loss_of(config, w, tokens, targets)
    loss.backward()
    norms = {name: float(value.grad.norm()) for name, value in sorted(w.items())}
    groups = [
        {"params": [v for v in w.values() if v.dim() >= 2], "weight_decay": 0.1},
        {"params": [v for v in w.values() if v.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(5):
        optimizer.step()
        optimizer.zero_grad()
        step_loss = loss_of(config, w, tokens, targets)
        step_loss.backward()
        losses.append(float(step_loss))
    return {
        "logits": [float(f"{v:.9g}") for v in logits.detach().flatten().tolist()],
        "loss": float(loss),
        "gradientNorms": {name: float(f"{v:.9g}") for name, v in norms.items()},
        "stepLosses": losses,
    }


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    result = {folder.name: golden(folder) for folder in sorted(root.iterdir()) if folder.is_dir()}
    json.dump(result, sys.stdout, indent=0)
    print()
