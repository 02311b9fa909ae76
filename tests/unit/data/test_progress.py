"""The bar of the reading, on a terminal with a clock of its own."""

import io

import numpy as np
import pytest
from recording_files import csv_folder, make_recordings

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.data.recordings import Recording, Source
from nas_lightning.progress import _Silence


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A list of the one time that bars see."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr("nas_lightning.progress._now", lambda: now[0])
    monkeypatch.setattr("nas_lightning.progress._silence", _Silence())
    monkeypatch.setattr("nas_lightning.progress._BETWEEN_LINES", 10.0)
    return now


def read(clock, monkeypatch, seconds, stream, **options):
    """What the stream shows after each recording but the first, and at the end."""
    monkeypatch.setattr("sys.stderr", stream)
    shown = []

    def recordings():
        for i in range(10):
            clock[0] += seconds
            yield Recording(f"r{i}", np.ones((3, 1)), "ab"[i % 2])
            shown.append(stream.getvalue())

    collect(Source("slow.npz", recordings(), total=10, **options))
    return [*shown, stream.getvalue()]


def test_a_bar_is_there_within_the_first_second_and_goes_away(clock, monkeypatch):
    shown = read(clock, monkeypatch, 0.3, Terminal())
    assert shown[0] == ""
    assert "reading slow.npz:  20%" in shown[1]  # after 0.6 seconds
    assert "100%" in shown[9]
    assert shown[10].rpartition("100%")[2].rpartition("\r")[2].strip() == ""


def test_what_is_short_has_no_bar_and_what_goes_into_a_file_has_a_line_every_ten_seconds(clock, monkeypatch):
    assert set(read(clock, monkeypatch, 0.04, Terminal())) == {""}
    assert set(read(clock, monkeypatch, 0.9, io.StringIO())) == {""}
    clock[0] += 2
    lines = read(clock, monkeypatch, 3.0, io.StringIO())[-1].splitlines()
    assert lines[0] == "reading slow.npz: 40 %, 4 of 10 recordings, 12 s, about 18 s left"
    assert len(lines) == 3


def test_a_bar_counts_files_while_folders_are_looked_into(clock, monkeypatch, tmp_path):
    csv_folder(tmp_path, make_recordings((3,) * 12))
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("tqdm.std.time", lambda: clock.__setitem__(0, clock[0] + 0.3) or clock[0])
    open_source(None, str(tmp_path))
    assert "file" in stream.getvalue()
