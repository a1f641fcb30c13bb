"""Writes python_random.json: draws of CPython's random module, which PythonRandom must repeat. Run with Python 3.11 or later."""
import json
import math
import os
import random


def sample_deviation(values):
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def bootstrap(values, resamples):
    """The standard error of exp(-mean) as lm-evaluation-harness estimates it: chunks of at most 1000, chunk i seeded with i."""
    size = min(1000, resamples)
    figures = []
    for chunk in range(resamples // size):
        generator = random.Random(chunk)
        for _ in range(size):
            drawn = generator.choices(values, k=len(values))
            figures.append(math.exp(-sum(drawn) / len(drawn)))
    return sample_deviation(figures)


golden = {"doubles": [], "samples": [], "bootstrap": []}
for seed in [0, 1, 42, 1234, -7, 2**31, 2**40 + 5]:
    generator = random.Random(seed)
    golden["doubles"].append({"seed": seed, "values": [generator.random() for _ in range(700)][-5:]})

# Populations around the size where CPython changes from a pool to a set, and several draws in a row.
for seed, population, count in [(1234, 100, 5), (1234, 21, 5), (1234, 22, 5), (1234, 85, 6), (1234, 86, 6), (7, 16113, 6), (3, 10, 10), (3, 1, 1), (9, 285, 25)]:
    generator = random.Random(seed)
    golden["samples"].append(
        {"seed": seed, "population": population, "count": count, "draws": [generator.sample(range(population), count) for _ in range(3)]})

values = [-0.5, -1.25, -3.0, -0.01, -7.5, -2.25, -2.25, -4.0]
for resamples in [10, 1000, 3000]:
    golden["bootstrap"].append({"values": values, "resamples": resamples, "error": bootstrap(values, resamples)})

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_random.json"), "w", encoding="utf-8") as file:
    json.dump(golden, file, indent=1)
    file.write("\n")
