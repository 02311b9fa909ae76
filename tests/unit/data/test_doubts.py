"""Channels that are no signal."""

import numpy as np
import pytest

from nas_lightning.data.doubts import rising_channels
from nas_lightning.data.recordings import Recording, Source, collect


def made(*columns, lengths=(50, 60)):
    """Recordings of columns that are functions of the row's number."""
    parts = [np.column_stack([column(np.arange(rows)) for column in columns]) for rows in lengths]
    return collect(Source("made", [Recording(f"r{i}", values, "ab"[i]) for i, values in enumerate(parts)]))


@pytest.mark.parametrize(
    "clock",
    [lambda n: n, lambda n: n * 20.0 + 7, lambda n: n / 50, lambda n: 1e3 + n * 0.02, lambda n: n * 1e-6],
)
def test_a_clock_among_the_channels_is_named(clock):
    (found,) = rising_channels(made(np.sin, clock))
    assert found.startswith(f"channel 1 rises by {clock(np.arange(3))[1] - clock(np.arange(3))[0]:.3g} in every row")


@pytest.mark.parametrize(
    "signal",
    [np.sin, lambda n: -n, lambda n: n * 0 + 3, lambda n: n**1.5, lambda n: n % 40, lambda n: n * (1.0 + (n == 30))],
)
def test_a_signal_is_not(signal):
    assert rising_channels(made(signal)) == []


def test_a_clock_in_one_recording_is_a_signal():
    source = Source("made", [Recording("a", np.arange(9.0)[:, None], "a"), Recording("b", np.ones((9, 1)), "b")])
    assert rising_channels(collect(source)) == []


def test_recordings_of_two_rows_are_not_judged():
    assert rising_channels(made(lambda n: n, lengths=(2, 2))) == []
