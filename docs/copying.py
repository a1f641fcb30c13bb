"""Writes the text of configs/studies/copying.json: lines of random characters in which one passage stands three times.

usage: python3 docs/copying.py FOLDER        writes FOLDER/train.txt (24 MB) and FOLDER/valid.txt (0.5 MB), the same every time
"""
import pathlib
import random
import sys

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
LINE = 240


def line(dice):
    length = dice.randint(16, 40)
    passage = "".join(dice.choices(ALPHABET, k=length))
    # Fillers before, between and after the three copies share what is left.
    rest = LINE - 3 * length
    cuts = sorted(dice.randint(0, rest) for _ in range(3))
    fillers = ["".join(dice.choices(ALPHABET, k=b - a)) for a, b in zip([0] + cuts, cuts + [rest])]
    return fillers[0] + passage + fillers[1] + passage + fillers[2] + passage + fillers[3]


def write(path, seed, lines):
    dice = random.Random(seed)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(lines):
            file.write(line(dice) + "\n")


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
write(folder / "train.txt", 1, 100_000)
write(folder / "valid.txt", 2, 2_000)
