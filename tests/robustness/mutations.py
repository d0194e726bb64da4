"""Damage done to a file, as plain values: drawn by Hypothesis, sent to a child process, noted where it matters."""

from __future__ import annotations

import io
import random
import zipfile

# What stands for trouble in one format or another: signs, ends of ranges, openings without an end.
TOKENS = (
    b"\x00",
    b"\xff" * 4,
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\x80\x02",
    b".",
    b"(",
    b"\x85",
    b"R",
    b"b",
    b"[" * 60,
    b'{"a":' * 60,
    b"]",
    b"}",
    b'"',
    b"'",
    b"\n",
    b"-",
    b"-1",
    b"0",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"9" * 400,
    b"9" * 5000,
    b"18446744073709551616",
    b"null",
    b"true",
    b"\\ud800",
    b"\\u0000",
    b"\xc3\x28",
    b"&a ",
    b"*a",
    b"!!python/object:os.system",
    b"? [1]: 2\n",
    b"<<: ",
    b"O8",
    b"|O",
    b"<U999999999",
    b"(99999999, 99999999)",
    b"cos\nsystem\n",
    b".inf",
    b".nan",
    b"20000",
    b"1_0:30:30",
    b"2001-01-01",
    b"%YAML 9.9\n",
    b"---\n",
)

# kind, place (0 to 1), length (0 to 1), token
Mutation = tuple[str, float, float, int]
KINDS = ("flip", "set", "cut", "remove", "repeat", "insert", "replace", "swap", "entry")


def drawn(rng: random.Random) -> list[Mutation]:
    """One to three of them."""
    count = rng.choice((1, 1, 1, 2, 3))
    return [
        (rng.choice(KINDS), rng.random(), rng.random() ** 4, rng.randrange(256 * len(TOKENS))) for _ in range(count)
    ]


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    """The data with all of them done, one after the other."""
    for kind, place, length, token in mutations:
        data = _inside(data, (place, length, token)) if kind == "entry" else _done(data, kind, place, length, token)
    return data


def _done(data: bytes, kind: str, place: float, length: float, token: int) -> bytes:
    start = min(int(place * len(data)), max(0, len(data) - 1))
    size = 1 + int(length * len(data) / 2)
    text = TOKENS[token % len(TOKENS)]
    head, part, tail = data[:start], data[start : start + size], data[start + size :]
    if kind == "flip":
        return head + bytes([(data[start : start + 1] or b"\0")[0] ^ (1 << token % 8)]) + data[start + 1 :]
    if kind == "set":
        return head + bytes([token % 256]) + data[start + 1 :]
    if kind == "cut":
        return head
    if kind == "remove":
        return head + tail
    if kind == "repeat":
        return head + part * min(2 + token % 7, 1 + (1 << 22) // len(part or b"0")) + tail
    if kind == "insert":
        return head + text + data[start:]
    if kind == "replace":
        return head + text + data[start + len(text) :]
    other = token * 31 % max(1, len(data))  # swap
    return data[:other] + part + data[other + len(part) :]


def _inside(data: bytes, how: tuple[float, float, int]) -> bytes:
    """One entry of an archive changed and packed again, with the sums that fit; other data as by "set"."""
    place, length, token = how
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except Exception:
        return _done(data, "set", place, length, token)
    if not entries:
        return data
    chosen = token // len(TOKENS) % len(entries)
    kinds = ("flip", "set", "insert", "replace", "cut", "repeat")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, content) in enumerate(entries):
            if number == chosen:  # the heads, where the structure is, more often than the numbers
                where = place * min(1.0, 160 / max(1, len(content))) if token % 3 else place
                content = _done(content, kinds[token % len(kinds)], where, length, token)
            archive.writestr(name, content)
    return made.getvalue()
