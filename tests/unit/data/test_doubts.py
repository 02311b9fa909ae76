"""Channels that are no signal."""

import numpy as np
import pytest

from nas_lightning.data.collect import collect
from nas_lightning.data.doubts import doubtful_channels
from nas_lightning.data.recordings import Recording, Source


def made(*columns, lengths=(50, 60)):
    """Recordings of columns that are functions of the row's number."""
    parts = [np.column_stack([column(np.arange(rows)) for column in columns]) for rows in lengths]
    return collect(Source("made", [Recording(f"r{i}", values, "ab"[i]) for i, values in enumerate(parts)]))


@pytest.mark.parametrize(
    "clock",
    [lambda n: n, lambda n: n * 20.0 + 7, lambda n: n / 50, lambda n: 1e3 + n * 0.02, lambda n: n * 1e-6],
)
def test_a_clock_among_the_channels_is_named(clock):
    (found,) = doubtful_channels(made(np.sin, clock))
    assert found.startswith(f"channel 1 rises by {clock(np.arange(3))[1] - clock(np.arange(3))[0]:.3g} in every row")


@pytest.mark.parametrize(
    "signal",
    [np.sin, lambda n: -n, lambda n: n * 0 + 3, lambda n: n**1.5, lambda n: n % 40, lambda n: n * (1.0 + (n == 30))],
)
def test_a_signal_is_not(signal):
    assert doubtful_channels(made(signal)) == []


def test_a_clock_in_one_recording_is_a_signal():
    source = Source("made", [Recording("a", np.arange(9.0)[:, None], "a"), Recording("b", np.ones((9, 1)), "b")])
    assert doubtful_channels(collect(source)) == []


def test_recordings_of_two_rows_are_not_judged():
    assert doubtful_channels(made(lambda n: n, lengths=(2, 2))) == []


@pytest.mark.parametrize("kind", ["label", "person", "counted"])
def test_a_channel_that_stands_still_in_each_recording_is_named(kind):
    values = {"label": [0, 1, 0, 1], "person": [3, 3, 7, 7], "counted": [1, 2, 3, 4]}[kind]
    parts = [np.column_stack([np.sin(np.arange(30)), np.full(30, value)]) for value in values]
    found = doubtful_channels(
        collect(Source("made", [Recording(f"r{i}", p, "ab"[i % 2]) for i, p in enumerate(parts)]))
    )
    assert found == [
        "channel 1 has one value in each recording, as a label or a name does; leave it out by variables if it is one"
    ]


def test_a_channel_of_one_value_everywhere_or_that_moves_once_is_no_label():
    still = [np.full((30, 1), 5.0)] * 4
    moves = [np.full((30, 1), float(i)) for i in range(3)] + [np.repeat([[3.0], [4.0]], 15, axis=0)]
    for parts in (still, moves):
        made = Source("made", [Recording(f"r{i}", p, "ab"[i % 2]) for i, p in enumerate(parts)])
        assert doubtful_channels(collect(made)) == []
