"""Properties of readers, splits and windows over random data."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas_lightning.data.features import FrontEnd
from nas_lightning.data.readers.text import read_numbers
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.splits import check_splits, make_splits
from nas_lightning.data.windows import cut, pad, pieces_of
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
        values, channels = read_numbers(path, "x.csv")
    np.testing.assert_allclose(values, rows, rtol=1e-12)
    assert (channels is not None) == has_header


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=6, max_size=20),
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 25),
    st.booleans(),
    st.sampled_from(["amongst_files", "by_group", "within_files", "amongst_windows"]),
    st.integers(0, 5),
)
def test_no_window_leaves_its_part_of_a_recording(lengths, channels, rows, hop, keep_tails, split_type, seed):
    """Values tell their row, so that each window shows where it is from."""
    starts = np.cumsum([0, *lengths])
    values = torch.arange(1, int(starts[-1]) + 1, dtype=torch.float32)[:, None].repeat(1, channels)
    count = len(lengths)
    made = Recordings(
        "made", values, starts, tuple(f"r{i}" for i in range(count)), np.arange(count) % 2, ("a", "b"),
        Words.of([f"g{i // 2}" for i in range(count)]), None, np.full(count, np.nan),
    )  # fmt: skip
    try:
        segments = make_splits(made, split_type, (0.6, 0.2, 0.2), seed, rows)
        check_splits(made, segments)
    except InputError:
        return  # too few recordings or rows of a class: refused, not divided wrongly
    seen = [{}, {}, {}]
    for found, split in zip(seen, ("train", "val", "test"), strict=True):
        pieces = pieces_of(made, segments[split])
        windows = cut(pad(pieces, rows, hop) if keep_tails else pieces, rows, hop)
        x = windows.gather(torch.arange(len(windows)))
        for window, label in zip(x[:, 0].tolist(), windows.labels.tolist(), strict=True):
            real = [int(value) - 1 for value in window if value]
            assert real == list(range(real[0], real[0] + len(real)))
            owner = int(np.searchsorted(starts, real[0], side="right")) - 1
            assert real[-1] < starts[owner + 1]
            assert made.labels[owner] == label
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
