"""Writes the text of configs/studies/copying.json: lines of random characters in which one passage stands again and again.

usage: python3 docs/copying.py FOLDER        writes FOLDER/train.txt (24 MB) and FOLDER/valid.txt (0.5 MB), the same every time
"""
import pathlib
import random
import sys

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
LINE = 240


def line(dice):
    passage = "".join(dice.choices(ALPHABET, k=dice.randint(16, 40)))
    text = ""
    while len(text) < LINE:
        # A filler before each copy, so that no distance between copies is the same twice.
        text += "".join(dice.choices(ALPHABET, k=dice.randint(0, 12))) + passage
    return text[:LINE]


def write(path, seed, lines):
    dice = random.Random(seed)
    with open(path, "w", encoding="ascii") as file:
        for _ in range(lines):
            file.write(line(dice) + "\n")


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
write(folder / "train.txt", 1, 100_000)
write(folder / "valid.txt", 2, 2_000)
