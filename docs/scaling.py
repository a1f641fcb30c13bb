"""The tables of scaling.md: step times on paper, from `cofrgenet info --json` and the assumptions below.

    python3 docs/scaling.py COFRGENET

COFRGENET is the command that starts the tool, for example "dotnet run -c Release --no-build --project src/CoFrGeNet.Cli --".
"""
import json
import shlex
import subprocess
import sys

PEAK = 989.4e12  # H100 SXM, bf16 dense, operations a second
NODE = 8  # GPUs a host
LINKS = {"NDR": 8 * 46e9, "100G": 11e9}  # bytes a second between hosts
NVLINK = 370e9
LATENCY = 20e-6  # of one all-reduce
BLOCK = 25 * 2**20

# Name: presets, tokens of a sequence, tokens of a step, share of the peak that the transformer reaches.
CASES = {
    "GPT2-xl": ("gpt2-xl", 1024, 524288, 0.42),
    "Llama-3 3B": ("llama-3.2-3b", 4096, 4194304, 0.42),
}
# Share of the peak beside the transformer's, as measured on the CPU in bfloat16 (benchmarks/results/train.md).
VARIANTS = {"": ("transformer", 1.0), "-f": ("CoFrGeNet-F", 0.62 / 0.68), "-fu": ("CoFrGeNet", 0.58 / 0.68)}


def info(tool, preset):
    return json.loads(subprocess.run([*tool, "info", "--preset", preset, "--json"], capture_output=True, check=True).stdout)


def forward(tool, base, variant, length):
    """Operations a token of the forward pass at a sequence length: attention's part grows with it, the rest does not."""
    at = info(tool, base + variant)
    if variant == "-fu":
        return at["flopsPerToken"]  # CAttnU, at its own context
    parameters = at["parameters"]["total"] * 2
    return parameters + (at["flopsPerToken"] - parameters) * length / at["contextLength"]


def send(size, ranks, link):
    """Seconds of an all-reduce in rings of all ranks: each byte passes the slowest place 2 (n - 1) / n times."""
    rate = NVLINK if ranks <= NODE else min(NVLINK, LINKS[link])
    return 2 * (ranks - 1) / ranks * size / rate + LATENCY * max(1, size / BLOCK)


def step(flops, share, parameters, embedding, tokens, ranks, link):
    compute = 3 * flops * tokens / ranks / (PEAK * share)
    passes = max(1, tokens // ranks // 32768)
    backward = compute * 2 / 3 / passes
    blocks = send(4 * (parameters - embedding), ranks, link)
    last = send(4 * embedding, ranks, link)
    return compute, blocks + last, max(0.0, blocks - backward) + last


def main():
    tool = shlex.split(sys.argv[1])
    for name, (base, length, tokens, share) in CASES.items():
        for link in LINKS:
            print(f"\n{name}, {tokens:,} tokens a step, {link}\n")
            print("| model | parameters | GPUs | compute ms | MB | sending ms | not hidden ms | step ms | of ideal | M tokens/s |")
            print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
            for variant, (label, ratio) in VARIANTS.items():
                count = info(tool, base + variant)["parameters"]
                flops = forward(tool, base, variant, length)
                for ranks in (16, 128):
                    compute, sending, exposed = step(flops, share * ratio, count["total"], count["embedding"], tokens, ranks, link)
                    total = compute + exposed
                    print(
                        f"| {label} | {count['total'] / 1e6:,.0f}M | {ranks} | {compute * 1e3:.0f} | {4 * count['total'] / 1e6:,.0f} | {sending * 1e3:.0f} "
                        f"| {exposed * 1e3:.0f} | {total * 1e3:.0f} | {compute / total:.0%} | {tokens / total / 1e6:.2f} |"
                    )


if __name__ == "__main__":
    main()
