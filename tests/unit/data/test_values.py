"""From the numbers of a source to float32: what is far from zero, and what is missing."""

import numpy as np
import pytest

from nas_lightning.data import values
from nas_lightning.data.collect import collect
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Block, Recording, Source
from nas_lightning.errors import InputError


def collected(parts, missing="error", channels=None, **reading):
    source = Source("made", [Recording(f"r{i}", v, "ab"[i % 2], channels=channels) for i, v in enumerate(parts)])
    return collect(source, missing=missing, reading=Reading(**reading)), source.findings


def counts(centre, amplitude, seed=0, rows=200):
    """Whole numbers around a centre, int64 ``[T, 1]``."""
    phase = np.random.default_rng(seed).uniform(0, 6)
    return np.round(centre + amplitude * np.sin(np.arange(rows) / 9 + phase)).astype(np.int64)[:, None]


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64])
@pytest.mark.parametrize("centre", [2**31, 2**31 - 7, -(2**31), 2**40])
def test_counts_far_from_zero_keep_their_steps(dtype, centre):
    if dtype == np.uint32 and not 100 < centre < 2**32 - 100:
        pytest.skip("the type does not hold it")
    parts = [counts(centre, 60, seed).astype(dtype) for seed in range(4)]
    found, findings = collected(parts)
    (offset,) = found.offsets
    assert offset == round(offset)
    assert abs(offset - centre) < 100
    expected = np.concatenate(parts)[:, 0].astype(object) - int(offset)  # Python's whole numbers
    assert found.values[:, 0].tolist() == expected.tolist()
    assert len(findings.decisions) == 1
    assert findings.decisions[0].startswith(f"{offset:.0f} is subtracted from channel 0, because float32 would lose")
    assert findings.warnings == []


@pytest.mark.parametrize(
    "parts",
    [
        [counts(8388608, 2, seed) for seed in range(2)],  # float32 holds them as they are
        [np.sin(np.arange(50))[:, None] * 1e-3 + 20.0] * 2,
        [np.full((50, 1), 123456789)] * 2,  # nothing to lose
        [np.sin(np.arange(50, dtype=np.float32))[:, None] + np.float32(1e7)] * 2,  # lost before it came here
    ],
    ids=["24 bits", "small", "constant", "float32"],
)
def test_what_loses_nothing_stays_as_it_is(parts):
    found, findings = collected(parts)
    assert found.offsets.tolist() == [0.0]
    assert found.values.tolist() == np.concatenate(parts).astype(np.float32).tolist()
    assert findings.decisions == findings.warnings == []


def test_each_channel_is_judged_by_itself():
    parts = [np.column_stack([np.sin(np.arange(200)), counts(2**31, 60, seed)[:, 0]]) for seed in range(2)]
    found, findings = collected(parts, channels=("x", "load"))
    assert found.offsets[0] == 0
    assert "channel 1 (load)" in findings.decisions[0]
    assert found.channels == ("x", "load")
    assert found.channel(1) == "channel 1 (load)"


@pytest.mark.parametrize(("offset", "expected"), [(0, [0.0]), (2**31, [2.0**31]), ([2.0**31 - 5], [2.0**31 - 5])])
def test_the_key_settles_what_is_subtracted(offset, expected):
    parts = [counts(2**31, 60, seed) for seed in range(2)]
    found, findings = collected(parts, offset=offset)
    assert found.offsets.tolist() == expected
    assert findings.decisions == []
    assert (len(np.unique(found.values)) < 5) == (offset == 0)
    assert (findings.warnings != []) == (offset == 0)


def test_what_later_recordings_lose_is_said():
    _, findings = collected([counts(0, 60), counts(2**31, 60)])  # no constant is near both
    assert findings.decisions == []
    assert len(findings.warnings) == 1
    _, findings = collected([np.zeros((1 << 20, 1)), np.zeros((1 << 20, 1)), counts(2**31, 60)])
    assert findings.warnings == [
        "float32 keeps steps of 256 in channel 0, which is much of its deviation; `offset` subtracts a constant "
        "first (in r2)"
    ]


def test_offsets_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"`offset`: found 2 numbers; made: r0 has 1 channels: allowed are one"):
        collected([counts(0, 9)] * 2, offset=[1, 2])


def test_breaks_move_with_the_rows_that_are_left_out():
    values = np.arange(10.0)[:, None]
    gappy = np.where(np.isin(values, [1, 2, 5]), np.nan, values)
    recordings = [
        Recording("a", values, "x", breaks=np.array([4])),
        Recording("b", gappy, "y", breaks=np.array([2, 6])),
    ]
    together = collect(Source("made", recordings), missing="drop")
    alone = collect(Source("made", [Block.of([one]) for one in recordings]), missing="drop")
    for found in (together, alone):
        assert found.starts.tolist() == [0, 10, 17]
        rows = found.values[:, 0].tolist()
        assert [rows[place] for place in found.breaks] == [4.0, 3.0, 6.0]  # the first row that is left behind each


@pytest.mark.parametrize("missing", ["interpolate", "drop"])
def test_what_is_done_about_missing_values_is_said(missing):
    gappy = np.where(np.arange(9.0)[:, None] == 4, np.nan, np.arange(9.0)[:, None])
    _, findings = collected([np.ones((9, 1)), gappy], missing=missing)
    (line,) = findings.decisions
    assert line.startswith("rows with missing values are " + ("filled" if missing == "interpolate" else "left out"))
    assert "in r1" in line


@pytest.mark.parametrize(
    ("labels", "merged"),
    [
        (("Idle", "idle", "walk"), ["Idle", "walk"]),
        (("walk slow", "walk  slow", "run"), ["run", "walk  slow"]),
        (("1", "1.0", "2"), ["1", "2"]),
        (("1e0", "1", "01", "2"), ["01", "2"]),
        (("Größe", "GRÖSSE", "x"), ["GRÖSSE", "x"]),
    ],
)
def test_labels_that_differ_by_the_hand_that_wrote_them_are_settled_by_a_key(labels, merged):
    def made():
        return Source("made", [Recording(f"r{i}", np.ones((3, 1)), label) for i, label in enumerate(labels)])

    with pytest.raises(
        InputError, match=r"made: has the labels .* which differ by case, spaces or the form of a number"
    ):
        collect(made())
    kept = collect(made(), reading=Reading(similar_labels="keep"))
    assert sorted(kept.label_names) == sorted(labels)
    source = made()
    found = collect(source, reading=Reading(similar_labels="merge"))
    assert sorted(found.label_names) == sorted(merged)
    assert [found.label_names[label] for label in found.labels][-1] == labels[-1]
    assert len(set(found.labels[:-1].tolist())) == 1
    assert "are one class" in source.findings.decisions[0]


@pytest.mark.parametrize("labels", [("a-b", "a_b"), ("1", "-1"), ("10", "1"), ("nan", "NAN "), ("x1", "x01")])
def test_other_differences_are_classes(labels):
    source = Source("made", [Recording(f"r{i}", np.ones((3, 1)), label) for i, label in enumerate(labels)])
    if labels[0] == "nan":
        with pytest.raises(InputError, match="similar_labels"):
            collect(source)
    else:
        assert sorted(collect(source).label_names) == sorted(labels)


@pytest.mark.parametrize("seed", range(6))
def test_ranges_say_of_channels_what_their_deviations_say(seed, monkeypatch):
    """The quick look at ranges never calls a channel fine that the deviations do not."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, 30)
    scale = 10.0 ** random.integers(-4, 4, (1, 12))
    made = 1e5 * random.standard_normal((1, 12)) + scale * random.standard_normal((int(lengths.sum()), 12))
    found = values.loses_steps(made, made.astype(np.float32), lengths)
    each = [values.loses_steps(made[:, [c]], made[:, [c]].astype(np.float32), lengths)[0] for c in range(12)]
    monkeypatch.setattr(values, "_surely_deviate", lambda *_: False)
    expected = values.loses_steps(made, made.astype(np.float32), lengths)
    assert found.tolist() == each == expected.tolist()
    assert 0 < expected.sum() < 12
