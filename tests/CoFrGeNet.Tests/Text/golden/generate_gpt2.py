#!/usr/bin/env python3
"""Writes gpt2.json: texts and their GPT-2 ids, straight from the original vocabulary and independent of the C# code.

Usage: generate_gpt2.py FOLDER   (FOLDER holds encoder.json and vocab.bpe)

The splitting pattern is spelled out with unicodedata, merging is the plain textbook loop. Where the module `regex` is
installed, the pattern itself is run as well and must agree. Texts hold no characters newer than Unicode 14.
"""
import json
import os
import random
import sys
import unicodedata

PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}

TEXTS = [
    "", "a", " ", "\n", "Hello world", "Hello, world!", "Hello  world", "   leading", "trailing   ", "trailing \n", "a\n\nb", "a\n \nb",
    "tab\tseparated\t\tvalues", "\ttab", "line\r\nCRLF\r\n", "\r\n\r\n", "a \r\n b", "\n\n\nthree", "mixed \t \n end", "form\ffeed\vtab",
    "I'm you're he's they've we'll I'd can't", "I'M YOU'RE HE'S THEY'VE WE'LL I'D CAN'T", "'s't're", " 's", "''s", "'l 'v 'r", "it''s", "’s it’s",
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|>\n", "<|endoftext", "|>", "0 1 22 333 4444 55555", "3.14159", "1,000,000", "x1y2z3", "1st 2nd",
    "٠١٢٣ ٤٥", "१२३", "Ⅳ ⅷ", "½ ¾ ²³", "①②", "一二三", "naïve café", "cafe\u0301 nai\u0308ve", "\u0301", "a\u0301\u0302\u0303b", "Ångström Å",
    "Привет, мир", "Γειά σου Κόσμε", "שלום עולם", "שָׁלוֹם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "你好，世界。", "こんにちは世界", "안녕하세요 세계",
    "\u1100\u1161\u11a8", "ﬁ ﬂ", "ß ẞ", "ǅ ʰ ª º", "😀", "😀😀", " 😀", "a😀b", "👨‍👩‍👧‍👦", "👩🏽‍🚀", "🇩🇪🇫🇷", "1️⃣", "❤️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "𝐇𝐞𝐥𝐥𝐨 𝐰𝐨𝐫𝐥𝐝", "𝟘𝟙𝟚 12", "𐍈𐌰", "𠮷野家", "x𝑦z", "\u00a0", "a\u00a0b", " \u00a0 a", "\u00a0a", "a\u2003b", "a\u2003\u2003b", "\u3000你好\u3000",
    "\u2028a\u2029b", "a\u0085b", "\u1680x", "\u200b", "a\u200bb", "\ufeffbom", "\u2060", "\u180e x", "\x1c\x1d\x1e\x1f", "a\x1c b", "\x00", "a\x00b", "\x7f",
    "\ufffd", "a\ufffdb", "\ufffd\ufffd x", "\ue000", "\ufffe", "\U0010ffff", "_", "__init__", "snake_case", "a_b", "foo(bar, baz);", "if (x == 1) {\n    return;\n}",
    "-----", "=" * 40, "." * 17, "!!!???", "...", " ...", "$100 €50 £20", "user@example.com", "https://example.com/a?b=c&d=%20", "C# F# C++", "#!/bin/sh\n",
    "a" * 100, "a" * 127, "a" * 128, "a" * 129, "a" * 1000, "ab" * 300, "ha" * 77, " " * 100, " " * 100 + "x", "\n" * 100, "\t" * 33 + "x", "é" * 200, "😀" * 70,
    "Pneumonoultramicroscopicsilicovolcanoconiosis", "supercalifragilisticexpialidocious" * 5, "0" * 200, "The quick brown fox jumps over the lazy dog.",
    " SolidGoldMagikarp", "petertodd attRot", "\u202eright to left", "a\u00adb", "x²+y²=z²", "‘single’ “double” – — …", "¿Qué? ¡Sí!", "Zażółć gęślą jaźń",
]


def byte_characters():
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {b: chr(b) for b in kept}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(kept))
    return table


def kind(c):
    if c in SPACES:
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(c)[0], "symbol")


def split(text):
    pieces, i = [], 0
    while i < len(text):
        start = i
        for suffix in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(suffix, i):
                i += len(suffix)
                break
        else:
            first = i + 1 if text[i] == " " and i + 1 < len(text) and kind(text[i + 1]) != "space" else i
            wanted, i = kind(text[first]), first
            while i < len(text) and kind(text[i]) == wanted:
                i += 1
            if wanted == "space" and i < len(text) and i - start > 1:
                i -= 1
        pieces.append(text[start:i])
    return pieces


def merge(piece, ranks):
    parts = list(piece)
    while len(parts) > 1:
        best = min(set(zip(parts, parts[1:])), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        joined, i = [], 0
        while i < len(parts):
            if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
                joined.append(parts[i] + parts[i + 1])
                i += 2
            else:
                joined.append(parts[i])
                i += 1
        parts = joined
    return parts


def random_texts():
    generator = random.Random(20)
    alphabet = list("aeinost  \n\t'sSdD.,!-0123") + ["\u00a0", "é", "\u0301", "ж", "中", "😀", "𝐇", "٣", "\u3000", "'ll", "'re", "\r\n", "\u200d", " the", "ing"]
    return ["".join(generator.choice(alphabet) for _ in range(generator.randint(2, 40))) for _ in range(300)]


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "encoder.json"), encoding="utf-8") as file:
        encoder = json.load(file)
    with open(os.path.join(folder, "vocab.bpe"), encoding="utf-8") as file:
        lines = file.read().split("\n")[1:]
    ranks = {tuple(line.split(" ")): i for i, line in enumerate(lines) if line}
    characters = byte_characters()
    try:
        import regex
    except ImportError:
        regex = None
    cases = []
    for text in TEXTS + random_texts():
        pieces = split(text)
        if regex is not None and pieces != regex.findall(PATTERN, text):
            raise SystemExit(f"split disagrees with the pattern on {text!r}")
        ids = [encoder[p] for piece in pieces for p in merge("".join(characters[b] for b in piece.encode()), ranks)]
        cases.append({"text": text, "ids": ids})
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpt2.json")
    with open(out, "w", encoding="ascii", newline="\n") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
    print(f"{len(cases)} texts", "checked against the pattern" if regex else "(module regex is not installed)")


main()
