"""Properties of readers, splits and windows over random data."""

import itertools
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas_lightning.data.collect import collect
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.readers.text import read_many, read_numbers
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.data.recordings import Block, Recording, Recordings, Source
from nas_lightning.data.splits import check_splits, make_splits
from nas_lightning.data.windows import Pieces, cut, pad, pieces_of, resample
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError

NUMBERS = st.floats(-1e30, 1e30, allow_nan=False).map(lambda value: float(np.float32(value)))


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(lambda c: st.lists(st.lists(NUMBERS, min_size=c, max_size=c), min_size=1, max_size=12)),
    st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), (" ", ".")]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_numbers_are_read_as_they_were_written(rows, signs, has_header, line_end, encoding):
    delimiter, decimal = signs
    assume(decimal == "." or len(rows[0]) > 1)  # one column with decimal commas reads as two columns
    lines = [delimiter.join(repr(value).replace(".", decimal) for value in row) for row in rows]
    if has_header:
        lines.insert(0, delimiter.join(f"name{i}" for i in range(len(rows[0]))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes((line_end.join(lines) + line_end).encode(encoding))
        content = read_numbers(path, "x.csv")
        values, channels = content.values, content.channels
    np.testing.assert_allclose(values, rows, rtol=1e-12)
    assert (channels is not None) == has_header


CELLS = (
    *("0", "1", "2", "-2.5", "3e2", "1e308", "1e999", ".5", "7.", "+4", " 6", "6 ", "", "", "nan", "NA", "inf", "x"),
    *('"8"', "0x1", "1,5", "0,25", "2024-01-01 10:00", "0.30000000000000004", "12345678901234567890", "#", "# 1", "//"),
)
CELL = st.sampled_from(CELLS)
PLAIN_CELL = st.floats(-1e30, 1e30, allow_nan=False).map(repr)
HEADERS = (
    *(None, None, "abcd", ("time", "b", "c", "d"), ("a", "Zeit time", "c", ""), ("x;y", "b", "c", "d")),
    *(("t", "b", "t", "d"), ("", "b", "c", "d"), ("index", "time", "t_s", "d"), ("0", "1", "2", "3")),
    *(("", "0", "1", "2"), ("0.0", "1.0", "2.0", "x"), ("a", "2", "c", "4"), ("date", "time", "n", "a")),
    *(("# a", "b", "c", "d"), ("sep=", "", "", ""), ("b", "i", "a", "a")),
)
READINGS = [
    *({}, {}, {}, {"variables": 1}, {"variables": [1, 0]}, {"variables": ["b"]}, {"variables": ["c", "b"]}),
    *({"header": True}, {"header": False}, {"skip_rows": 1}, {"delimiter": ";"}, {"decimal": ","}),
    *({"columns": {"time": "b"}}, {"clock": "rows"}),
]


@st.composite
def small_texts(draw):
    """A few small files, most of which are plain, and some that are not."""
    width, sign = draw(st.integers(1, 4)), draw(st.sampled_from([",", ",", ";", "\t", " ", "|"]))
    header, counts = draw(st.sampled_from(HEADERS)), draw(st.sampled_from([False, False, True]))
    texts = []
    for _ in range(draw(st.integers(2, 6))):
        is_plain = draw(st.integers(0, 3)) > 0
        cells, widths = (PLAIN_CELL, st.just(width)) if is_plain else (CELL, st.integers(1, width + 1))
        rows = draw(st.lists(widths.flatmap(lambda n, c=cells: st.lists(c, min_size=n, max_size=n)), max_size=5))
        if counts:
            rows = [[str(number), *row[1:]] for number, row in enumerate(rows, draw(st.integers(0, 2)))]
        lines = ([] if header is None else [sign.join(header[:width])]) + [sign.join(row) for row in rows]
        if not is_plain:
            place = draw(st.integers(0, len(lines)))
            lines[place:place] = draw(
                st.sampled_from([[], [], [], ["# a"], ["ms" + sign + "g"], [sign * width], ["a: b"]])
            )
        end = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\r"])) if not is_plain else "\n"
        texts.append((end.join(lines) + draw(st.sampled_from(["", end]))).encode())
    return texts


def outcome(read):
    """What a call gives and what was decided, each in how many files; or the text of its error."""
    findings = Findings()
    try:
        found = [
            (one.values.tolist(), one.values.dtype, one.channels, one.breaks.tolist(), one.sampling_rate)
            for one in read(findings)
        ]
    except InputError as error:
        return str(error)
    return found, sorted(_FIRST.sub("(in ", line) for line in findings.decisions)


_FIRST = re.compile(r"\(\d+ times, first in ")


@settings(deadline=None)
@given(small_texts(), st.sampled_from(READINGS))
def test_many_small_files_read_as_each_alone(texts, said):
    reading = Reading(**said)
    with tempfile.TemporaryDirectory() as folder:
        files = [(Path(folder) / f"{number}.csv", f"{number}.csv") for number in range(len(texts))]
        for (path, _), text in zip(files, texts, strict=True):
            path.write_bytes(text)
        together = outcome(lambda findings: read_many(files, reading, findings))
        alone = outcome(lambda findings: [read_numbers(*file, reading, findings) for file in files])
    np.testing.assert_equal(together, alone)


@st.composite
def single_recordings(draw):
    """Recordings of one source; at times one of them cannot be used."""
    channels, has_groups = draw(st.integers(1, 3)), draw(st.booleans())
    value = st.one_of(NUMBERS, NUMBERS, NUMBERS, st.just(float("nan"))) if draw(st.booleans()) else NUMBERS
    made = []
    for number in range(draw(st.integers(2, 12))):
        rows = draw(st.lists(st.lists(value, min_size=channels, max_size=channels), min_size=1, max_size=4))
        made.append(
            Recording(
                name=f"r{number}",
                values=np.array(rows, draw(st.sampled_from([np.float64, np.float32]))),
                label=draw(st.sampled_from("ab")),
                group=draw(st.sampled_from(["x", "y", "z"])) if has_groups else None,
                split="train" if number < 4 else draw(st.sampled_from(["train", "test"])),
                sampling_rate=draw(st.sampled_from([None, 50.0])),
                channels=tuple("uvw"[:channels]),
            )
        )
    place, fault = draw(st.integers(0, len(made) - 1)), draw(st.sampled_from(["", "", "", *FAULTS]))
    return [replace(one, **FAULTS[fault](one)) if i == place and fault else one for i, one in enumerate(made)]


FAULTS = {
    "infinite": lambda one: {"values": np.where(np.arange(len(one.values))[:, None] == 0, np.inf, one.values)},
    "too large": lambda one: {"values": one.values.astype(np.float64) * 0 + 1e300},
    "no rows": lambda one: {"values": one.values[:0]},
    "no value": lambda one: {"values": one.values * np.nan},
    "a channel more": lambda one: {"values": np.repeat(one.values, 2, axis=1)},
    "other names": lambda one: {"channels": ("q",) * one.values.shape[1]},
    "no group": lambda one: {"group": None},
    "its name": lambda one: {"name": "r0"},
    "a label": lambda one: {"label": "c", "split": "test"},
}


@settings(deadline=None)
@given(
    single_recordings(),
    st.sampled_from(["error", "interpolate", "drop"]),
    st.sampled_from([None, 1, ["v"], [0]]),
    st.sampled_from([None, r"\d", r"[1-9]"]),
)
def test_recordings_together_are_those_one_by_one(made, missing, variables, pattern):
    """A block of one goes through the checks as they were written for a single recording."""

    def collected(items):
        try:
            found = collect(Source("made", items), variables, missing, pattern)
        except InputError as error:
            return str(error)
        fields = (found.values, found.starts, found.labels, found.sampling_rates)
        lists = (found.names, found.groups, found.splits)
        return [array.tolist() for array in fields], [None if one is None else list(one) for one in lists]

    np.testing.assert_equal(collected(made), collected([Block.of([one]) for one in made]))


@settings(deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 99))
def test_equal_pieces_are_resampled_as_each_alone(lengths, ratio, seed):
    stops = np.cumsum(lengths)
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal((stops[-1], 2)).astype(np.float32))
    rates = np.where(np.arange(len(lengths)) % 4 == 0, 100.0, 50.0)
    made = Pieces(values, stops - lengths, stops, np.zeros(len(lengths)), np.arange(len(lengths)))
    found = resample(made, rates, 50 / ratio, True)
    for number in range(len(lengths)):
        one = Pieces(values, made.starts[[number]], made.stops[[number]], made.labels[[0]], made.recordings[[0]])
        alone = resample(one, rates[[number]], 50 / ratio, True)
        assert found.values[found.starts[number] : found.stops[number]].tolist() == alone.values.tolist()


def leaks_by_hand(segments):
    """Recordings whose parts, in order, change the split as often as they have splits."""
    mixed = []
    for number in dict.fromkeys(n for rows in segments.values() for n in rows[:, 0].tolist()):
        parts = sorted((a, s) for s, rows in segments.items() for n, a, _ in rows.tolist() if n == number)
        order = [split for _, split in parts]
        if sum(a != b for a, b in itertools.pairwise(order)) >= len(set(order)) > 1:
            mixed.append(number)
    return mixed


def duplicates_by_hand(made, segments):
    seen, pairs = {}, []
    for split in ("train", "val", "test"):
        for number, start, stop in segments[split].tolist():
            begin = int(made.starts[number])
            content = made.values[begin + start : begin + stop].numpy().tobytes()
            other, first = seen.setdefault(content, (split, number))
            if other != split:
                pairs.append(f"{made.names[number]} of {split} is {made.names[first]} of {other}")
    return pairs


@settings(deadline=None)
@given(
    st.lists(st.integers(4, 12), min_size=6, max_size=16),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from(["amongst_files", "within_files", "amongst_windows"]),
    st.integers(0, 5),
)
def test_the_notes_are_those_of_plain_loops(lengths, channels, num_values, split_type, seed):
    """Few different values, so that many recordings are equal."""
    starts, count = np.cumsum([0, *lengths]), len(lengths)
    values = np.random.default_rng(seed).integers(num_values, size=(starts[-1], channels)).astype(np.float32)
    made = Recordings(
        "made", torch.from_numpy(values), starts, tuple(f"r{i}" for i in range(count)), np.arange(count) % 2,
        ("a", "b"), None, None, np.full(count, np.nan),
    )  # fmt: skip
    try:
        segments = make_splits(made, split_type, (0.6, 0.2, 0.2), seed, 2)
        notes = " ".join(check_splits(made, segments))
    except InputError:
        return
    mixed, pairs = leaks_by_hand(segments), duplicates_by_hand(made, segments)
    assert (
        (f"{len(mixed)} recordings, the first r{mixed[0]}, are in several" in notes) if mixed else "random" not in notes
    )
    assert (
        (f"{len(pairs)} recordings are in two splits, the first: {pairs[0]}" in notes)
        if pairs
        else " two " not in notes
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=6, max_size=20),
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 25),
    st.booleans(),
    st.sampled_from(["amongst_files", "by_group", "within_files", "amongst_windows"]),
    st.integers(0, 5),
    st.lists(st.integers(0, 200), max_size=5),
)
def test_no_window_leaves_its_part_of_a_recording(lengths, channels, rows, hop, keep_tails, split_type, seed, breaks):
    """Values tell their row, so that each window shows where it is from; none reaches over a break."""
    starts = np.cumsum([0, *lengths])
    values = torch.arange(1, int(starts[-1]) + 1, dtype=torch.float32)[:, None].repeat(1, channels)
    count = len(lengths)
    made = Recordings(
        "made", values, starts, tuple(f"r{i}" for i in range(count)), np.arange(count) % 2, ("a", "b"),
        Words.of([f"g{i // 2}" for i in range(count)]), None, np.full(count, np.nan),
        breaks=np.unique(breaks).astype(np.int64),
    )  # fmt: skip
    try:
        segments = make_splits(made, split_type, (0.6, 0.2, 0.2), seed, rows)
        check_splits(made, segments)
    except InputError:
        return  # too few recordings or rows of a class: refused, not divided wrongly
    seen = [{}, {}, {}]
    for found, split in zip(seen, ("train", "val", "test"), strict=True):
        pieces = pieces_of(made, segments[split], ends_at_breaks=True)
        windows = cut(pad(pieces, rows, hop) if keep_tails else pieces, rows, hop)
        x = windows.gather(torch.arange(len(windows))) if len(windows) else torch.empty(0, 1, rows)
        for window, label in zip(x[:, 0].tolist(), windows.labels.tolist(), strict=True):
            real = [int(value) - 1 for value in window if value]
            assert real == list(range(real[0], real[0] + len(real)))
            owner = int(np.searchsorted(starts, real[0], side="right")) - 1
            assert real[-1] < starts[owner + 1]
            assert made.labels[owner] == label
            assert not any(real[0] < row <= real[-1] for row in breaks)
            found.update(dict.fromkeys(real))
        covered = {starts[n] + row for n, first, last in segments[split].tolist() for row in range(first, last)}
        assert set(found) <= covered
        if keep_tails and hop <= rows:
            assert set(found) == covered
    assert not set(seen[0]) & set(seen[1])
    assert not (set(seen[0]) | set(seen[1])) & set(seen[2])


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.sampled_from([0.25, 0.5, 1.0]), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_frames_of_a_sample_are_those_of_a_plain_loop(size, stride, num_frames, channels, seed):
    front_end = FrontEnd(["RAW_FE", "CONCAT"], size, stride, num_frame_concat=num_frames)
    x = np.random.default_rng(seed).standard_normal((2, channels, front_end.rows))
    hop = max(1, int(size * stride))
    frames = [x[..., k * hop : k * hop + size] for k in range(num_frames)]
    expected = np.concatenate([frame - frame.mean(-1, keepdims=True) for frame in frames], axis=-1)
    np.testing.assert_allclose(front_end(torch.tensor(x).float()), expected, atol=1e-5)
