"""CoFrGeNet models in PyTorch: language models whose attention and feed-forward layers may be continued fractions (arXiv 2601.21766).

With the transformers library:  AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)
Without it, from the folder:    import modeling_cofrgenet; model = modeling_cofrgenet.load(FOLDER); logits = model.logits(token_ids)

Whole sequences only: there is no key-value cache. Letters: B batch, T tokens, C context length, p width, h heads, L ladders, d depth.
"""

import importlib
import json
import math
import os
import struct

import torch
import torch.nn.functional as F
from torch import nn

try:
    from .configuration_cofrgenet import CoFrGeNetConfig
except ImportError:
    CoFrGeNetConfig = importlib.import_module("configuration_cofrgenet").CoFrGeNetConfig

try:
    from transformers import GenerationMixin, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutput
except ImportError:
    GenerationMixin = PreTrainedModel = CausalLMOutput = None


class LadderRange:
    """The range in which a ladder of depth d computes in float32, so that no denominator overflows a continuant."""

    def __init__(self, depth, guard):
        exponent = 127
        self.bound = 2.0 ** (exponent // (depth + 1))
        self.start = 1.0
        if guard["type"] == "smooth":
            half = (exponent - 3) // 2
            inverse = max(0, math.ceil(-math.log2(guard["epsilon"])))
            self.start = 2.0 ** -max(0, min(depth * (exponent // (depth + 1)) - half, half - inverse))


def ladder(levels, guard):
    """f = K_{d-1} / K_d of d tensors a_1 .. a_d with the reciprocal guarded."""
    kind, epsilon = guard["type"], guard["epsilon"]
    limits = LadderRange(len(levels), guard)
    levels = [a.clamp(-limits.bound, limits.bound) for a in levels]
    if kind == "positive":
        levels = [F.softplus(a, threshold=40) + epsilon for a in levels]
    previous, current = torch.full_like(levels[-1], limits.start), levels[-1] * limits.start
    for a in reversed(levels[:-1]):
        previous, current = current, a * current + previous
    if kind == "smooth":
        return previous * (current / (current * current + (epsilon * limits.start) ** 2))
    if kind == "clamp":
        size = current.abs().clamp_min(epsilon)
        current = torch.where(current < 0, -size, size)
    elif kind != "positive":
        raise ValueError(f"pole guard '{kind}' is not known here")
    return previous / current


class OutputRange(nn.Module):
    """The range that each output took in training; outside training outputs are clipped to it."""

    def __init__(self, *shape):
        super().__init__()
        self.register_buffer("low", torch.full(shape, math.inf))
        self.register_buffer("high", torch.full(shape, -math.inf))

    def forward(self, z):
        """z is [.., t, rest of shape]; t may be shorter than the first ranged axis of several."""
        length = z.shape[-self.low.dim()]
        low, high = self.low[:length], self.high[:length]
        if self.training:
            with torch.no_grad():
                flat = z.reshape(-1, *low.shape)
                low.copy_(torch.minimum(low, flat.amin(0)))
                high.copy_(torch.maximum(high, flat.amax(0)))
            return z
        seen = low <= high
        low = torch.where(seen, low, torch.full_like(low, -math.inf))
        high = torch.where(seen, high, torch.full_like(high, math.inf))
        return torch.minimum(torch.maximum(z, low), high)


class Ladders(nn.Module):
    """An ensemble of L ladders: each sees all of x (projected), or every coordinate has L of its own (elementwise)."""

    def __init__(self, width, config, count):
        super().__init__()
        self.kind, self.guard = config.get("kind", "projected"), config["guard"]
        outputs = count if self.kind == "projected" else count * width
        self.levels = nn.ParameterList(nn.Parameter(torch.empty(count, width)) for _ in range(config["depth"]))
        has_bias = config.get("bias") is not None
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(outputs)) for _ in range(config["depth"])) if has_bias else None
        self.range = OutputRange(outputs) if config.get("clipToTrainedRange", True) else None

    def forward(self, x):
        x = x.float()
        a = [F.linear(x, w) if self.kind == "projected" else (x.unsqueeze(-2) * w).flatten(-2) for w in self.levels]
        if self.biases is not None:
            a = [level + bias for level, bias in zip(a, self.biases)]
        z = ladder(a, self.guard)
        return z if self.range is None else self.range(z)


def split_heads(x, heads):
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def attend(query, key, value, mask, scale):
    """softmax(q k^T scale, masked) v with heads merged: [B, h, T, s] -> [B, T, h s]."""
    scores = (query @ key.transpose(-1, -2)) * scale
    weights = scores.masked_fill(~mask, -math.inf).float().softmax(-1).to(value.dtype)
    return (weights @ value).transpose(1, 2).flatten(2)


def causal_mask(length, device):
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


class Rotary:
    """Rotary position embedding by halves, with Llama 3's stretching of low frequencies."""

    def __init__(self, size, config):
        self.frequencies = [self.scale(config.get("theta", 10000.0) ** (-2 * i / size), config.get("scaling")) for i in range(size // 2)]

    @staticmethod
    def scale(frequency, scaling):
        if not scaling:
            return frequency
        turns = scaling["originalContextLength"] * frequency / (2 * math.pi)
        low, high = scaling["lowFrequencyFactor"], scaling["highFrequencyFactor"]
        blend = min(max((turns - low) / (high - low), 0.0), 1.0)
        return (1 - blend) * frequency / scaling["factor"] + blend * frequency

    def __call__(self, x):
        positions = torch.arange(x.shape[2], dtype=torch.float64, device=x.device)
        angles = positions[:, None] * torch.tensor(self.frequencies, dtype=torch.float64, device=x.device)
        cos, sin = angles.cos().float(), angles.sin().float()
        first, second = x.float().chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, width, context, config):
        super().__init__()
        self.heads = config["heads"]
        self.groups = config.get("keyValueHeads") or self.heads
        self.size = config.get("headSize") or width // self.heads
        self.window, self.stride = (config.get("window", 64), config.get("stride", 64)) if config["type"] == "sparseAttention" else (None, None)
        self.rotary = Rotary(self.size, config["rotary"]) if config.get("rotary") else None
        bias = config.get("bias", True)
        self.qkv = nn.Linear(width, (self.heads + 2 * self.groups) * self.size, bias=bias)
        self.output = nn.Linear(self.heads * self.size, width, bias=bias)

    def mask(self, length, device):
        mask = causal_mask(length, device)
        if self.window is not None:
            position = torch.arange(length, device=device)
            mask = mask & ((position[:, None] - position < self.window) | ((position + 1) % self.stride == 0))
        return mask

    def forward(self, x):
        q, k, v = self.qkv(x).split([self.heads * self.size, self.groups * self.size, self.groups * self.size], -1)
        q, k, v = split_heads(q, self.heads), split_heads(k, self.groups), split_heads(v, self.groups)
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        k, v = (y.repeat_interleave(self.heads // self.groups, 1) for y in (k, v))
        return self.output(attend(q, k, v, self.mask(x.shape[1], x.device), 1 / math.sqrt(self.size)))


class Synthesizer(nn.Module):
    """Attention logits over absolute positions from a two-layer map of each token."""

    def __init__(self, width, context, config):
        super().__init__()
        self.heads = config["heads"]
        self.hidden = nn.Linear(width, width, bias=False)
        self.positions = nn.Parameter(torch.empty(self.heads, context, width // self.heads))
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x):
        query = split_heads(F.relu(self.hidden(x)), self.heads)
        value = split_heads(self.value(x), self.heads)
        return self.output(attend(query, self.positions[:, : x.shape[1]], value, causal_mask(x.shape[1], x.device), 1.0))


class CAttnM(nn.Module):
    """Ladders of each token give one row of attention logits over absolute positions."""

    def __init__(self, width, context, config):
        super().__init__()
        self.heads, count = config["heads"], config["ladders"]["count"]
        self.ladders = Ladders(width, config["ladders"], self.heads * count)
        self.positions = nn.Parameter(torch.empty(self.heads, context, count))
        self.value = nn.Linear(width, width, bias=False)

    def forward(self, x):
        query = split_heads(self.ladders(x), self.heads)
        value = split_heads(self.value(x), self.heads)
        return attend(query.to(value.dtype), self.positions[:, : x.shape[1]], value, causal_mask(x.shape[1], x.device), 1.0)


class CAttnU(nn.Module):
    """Tokens become coordinates: two ensembles of univariate ladders, two triangular maps over positions, their product."""

    def __init__(self, width, context, config):
        super().__init__()
        self.guard = config["guard"]
        self.linear = nn.Parameter(torch.empty(2, context))
        self.levels = nn.ParameterList(nn.Parameter(torch.empty(2, context)) for _ in range(config["depth"] - 1))
        if config.get("relativePositions"):
            # One number a distance for each head: U[i, j] = u[i - j].
            self.distances = nn.Parameter(torch.empty(2, config.get("heads", 1), context))
        else:
            # U_1 is the lower triangle of columns 0 .. C-1; U_2 stands transposed in the upper one of columns 1 .. C.
            self.triangles = nn.Parameter(torch.empty(context, context + 1))
        self.range = OutputRange(context, 2) if config.get("clipToTrainedRange", True) else None
        self.maps = config.get("inputMaps", 0)
        if self.maps:
            self.inputs = nn.Linear(width, self.maps * width, bias=config.get("inputBias", False))
        # Gates f = 1 / (1 + e^v) of each ensemble and head: U[i, j] = u[i - j] f[j + 1] .. f[i].
        self.forget = nn.Linear(width, 2 * config.get("heads", 1)) if config.get("forgetGates") else None

    def forward(self, x):
        t = x.shape[1]
        mapped = self.inputs(x).unflatten(-1, (self.maps, -1)) if self.maps else x.unsqueeze(2)
        wide = mapped.float()
        # [2, C] -> [T, 2, 1] against x as [B, T, 1 or 2, p].
        by_position = [w[:, :t].t().unsqueeze(-1) for w in (self.linear, *self.levels)]
        z = ladder([wide * w for w in by_position[1:]], self.guard)
        if self.range is not None:
            z = self.range(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = wide * by_position[0] + z
        first, second = y[:, :, 0], y[:, :, 1]
        if hasattr(self, "distances"):
            position = torch.arange(t, device=x.device)
            lower, upper = self.distances[:, :, (position[:, None] - position).clamp(min=0)].tril()
            heads = lower.shape[0]
            if self.forget is not None:
                # [B, 2, h, T]; kept from j to i: e^(kept_i - kept_j), 1 at most.
                kept = -F.softplus(self.forget(x).float()).cumsum(1).transpose(1, 2).unflatten(1, (2, heads))
                fading = (kept.unsqueeze(-1) - kept.unsqueeze(-2)).clamp(max=0).exp()
                lower, upper = lower * fading[:, 0], upper * fading[:, 1]
            mixed = (lower @ split_heads(first, heads)) * (upper @ split_heads(second, heads))
            return mixed.transpose(1, 2).flatten(2).to(x.dtype)
        lower, upper = self.triangles[:t, :t].tril(), self.triangles[:t, 1 : t + 1].t().tril()
        return ((lower @ first) * (upper @ second)).to(x.dtype)


class Mlp(nn.Module):
    def __init__(self, width, config):
        super().__init__()
        hidden = config.get("hiddenSize") or 4 * width
        self.up = nn.Linear(width, hidden, bias=config.get("bias", True))
        self.down = nn.Linear(hidden, width, bias=config.get("bias", True))

    def forward(self, x):
        return self.down(F.gelu(self.up(x), approximate="tanh"))


class SwiGlu(nn.Module):
    def __init__(self, width, config):
        super().__init__()
        self.gate = nn.Linear(width, config["hiddenSize"], bias=False)
        self.up = nn.Linear(width, config["hiddenSize"], bias=False)
        self.down = nn.Linear(config["hiddenSize"], width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class GatedLinear(nn.Module):
    """U (x (.) gate(G x)): the feed-forward without ladders."""

    def __init__(self, width, config):
        super().__init__()
        kinds = {"silu": F.silu, "sigmoid": torch.sigmoid}
        kind = config.get("gate", "silu")
        if kind not in kinds:
            raise ValueError(f"gate '{kind}' is not known here")
        self.activation = kinds[kind]
        self.gate = nn.Linear(width, width, bias=False)
        self.linear = nn.Linear(width, width, bias=False)

    def gated(self, x):
        return x * self.activation(self.gate(x))

    def forward(self, x):
        return self.linear(self.gated(x))


class Cffn(GatedLinear):
    """U g + V z, where z are the outputs of ladders on the gated input g."""

    def __init__(self, width, config):
        super().__init__(width, config)
        ladders = config["ladders"]
        self.linear_on_gated = config.get("linearOnGated", True)
        self.ladders = Ladders(width, ladders, ladders["count"])
        shape = (ladders["count"], width) if self.ladders.kind == "projected" else (width, ladders["count"])
        self.combine = nn.Linear(*shape, bias=False)

    def forward(self, x):
        gated = self.gated(x)
        y = self.linear(gated if self.linear_on_gated else x)
        z = self.ladders(gated).to(y.dtype)
        if self.ladders.kind == "projected":
            return y + self.combine(z)
        return y + (z.view(*x.shape[:-1], *self.combine.weight.shape) * self.combine.weight).sum(-2)


class RmsNorm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)).to(x.dtype) * self.weight


MIXERS = {"attention": Attention, "sparseAttention": Attention, "synthesizer": Synthesizer, "cattnm": CAttnM, "cattnu": CAttnU}
FEED_FORWARDS = {"mlp": Mlp, "swiGlu": SwiGlu, "gatedLinear": GatedLinear, "cffn": Cffn}


def part(parts, config, *sizes):
    if config["type"] not in parts:
        raise ValueError(f"'{config['type']}' is not known here; known are {', '.join(parts)}")
    return parts[config["type"]](*sizes, config)


def norm(model):
    config = model["norm"]
    kinds = {"layerNorm": nn.LayerNorm, "rmsNorm": RmsNorm}
    if config["kind"] not in kinds:
        raise ValueError(f"norm '{config['kind']}' is not known here")
    return kinds[config["kind"]](model["width"], config["epsilon"])


class Block(nn.Module):
    def __init__(self, model, block):
        super().__init__()
        self.mixer_norm = norm(model)
        self.mixer = part(MIXERS, block["mixer"], model["width"], model["contextLength"])
        self.feed_forward_norm = norm(model)
        self.feed_forward = part(FEED_FORWARDS, block["feedForward"], model["width"])

    def forward(self, x):
        x = x + self.mixer(self.mixer_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))


class CoFrGeNet(nn.Module if PreTrainedModel is None else PreTrainedModel):
    """The model itself, the same with and without the transformers library."""

    config_class = CoFrGeNetConfig
    base_model_prefix = ""

    def __init__(self, config):
        if PreTrainedModel is None:
            super().__init__()
            self.config = config
        else:
            super().__init__(config)
        model = config.model
        self.context_length = model["contextLength"]
        self.token_embedding = nn.Parameter(torch.empty(model["vocabularySize"], model["width"]))
        learned = model.get("learnedPositions", True)
        self.position_embedding = nn.Parameter(torch.empty(model["contextLength"], model["width"])) if learned else None
        self.blocks = nn.ModuleList(Block(model, block) for block in config.layers)
        self.final_norm = norm(model)
        self.head = None if model.get("tiedHead", True) else nn.Linear(model["width"], model["vocabularySize"], bias=False)

    def logits(self, input_ids):
        """int64 [B, T] -> [B, T, V]."""
        length = input_ids.shape[1]
        if length > self.context_length:
            raise ValueError(f"the sequence has {length} tokens; the context length is {self.context_length}")
        x = F.embedding(input_ids, self.token_embedding)
        if self.position_embedding is not None:
            x = x + self.position_embedding[:length]
        for block in self.blocks:
            x = block(x)
        weight = self.token_embedding if self.head is None else self.head.weight
        return F.linear(self.final_norm(x), weight).float()

    def forward(self, input_ids):
        return self.logits(input_ids)


if PreTrainedModel is not None:

    class CoFrGeNetForCausalLM(CoFrGeNet, GenerationMixin):
        """For AutoModelForCausalLM. Pad on the right only: positions are absolute."""

        main_input_name = "input_ids"

        def __init__(self, config):
            super().__init__(config)
            self.post_init()

        def _init_weights(self, module):
            for parameter in module.parameters(recurse=False):
                nn.init.normal_(parameter, std=self.config.model.get("initialStd", 0.02))

        def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **_):
            return {"input_ids": input_ids[:, -self.context_length :], "attention_mask": None if attention_mask is None else attention_mask[:, -self.context_length :]}

        def forward(self, input_ids=None, attention_mask=None, labels=None, return_dict=True, **_):
            if attention_mask is not None and bool((attention_mask[:, 1:] > attention_mask[:, :-1]).any()):
                raise ValueError("this model takes padding on the right only")
            logits = self.logits(input_ids)
            loss = None if labels is None else F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            if not return_dict:
                return (logits,) if loss is None else (loss, logits)
            return CausalLMOutput(loss=loss, logits=logits)


TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_safetensors(path):
    """The tensors of a file as float32, read without the safetensors package."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(bytes(data[8 : 8 + length]))
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            dtype = TYPES[entry["dtype"]]
            flat = torch.frombuffer(data, dtype=dtype, count=(last - first) // torch.empty(0, dtype=dtype).element_size(), offset=8 + length + first) if last > first else torch.empty(0)
            tensors[name] = flat.reshape(entry["shape"]).float()
    return tensors


def load(folder):
    """The model of a folder in evaluation mode, without the transformers library."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = CoFrGeNetConfig(**json.load(file))
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index, encoding="utf-8") as file:
            files = sorted(set(json.load(file)["weight_map"].values()))
    else:
        files = ["model.safetensors"]
    model = CoFrGeNet(config)
    tensors = {}
    for name in files:
        tensors.update(read_safetensors(os.path.join(folder, name)))
    model.load_state_dict(tensors, strict=True)
    return model.eval()
