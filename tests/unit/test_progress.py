"""Bars and lines, with a clock of their own and a terminal of the system."""

import fcntl
import io
import os
import pty
import select
import struct
import termios
import threading
from types import SimpleNamespace

import pytest

from nas_lightning import progress

BETWEEN_LINES = progress._BETWEEN_LINES
"""As it is outside of tests."""

PATIENCE = 20
"""Seconds after which what does not come is missed."""


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self, monkeypatch):
        self.seconds = 1000.0
        monkeypatch.setattr(progress, "_now", lambda: self.seconds)
        monkeypatch.setattr(progress, "_silence", progress._Silence())
        monkeypatch.setattr(progress, "_BETWEEN_LINES", BETWEEN_LINES)
        monkeypatch.setattr("tqdm.std.time", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class Stream(io.StringIO):
    """Tells who waits what other threads write."""

    def __init__(self):
        super().__init__()
        self.written = threading.Condition()

    def write(self, text):
        with self.written:
            self.written.notify_all()
            return super().write(text)


@pytest.fixture
def lines(monkeypatch):
    """A function that gives the lines which were written to a stderr that is no terminal, once there are so many."""
    stream = Stream()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))

    def get(count=0):
        with stream.written:
            assert stream.written.wait_for(lambda: stream.getvalue().count("\n") >= count, PATIENCE)
        return stream.getvalue().splitlines()

    return get


class Terminal:
    """A pseudo-terminal as stderr; ``shown`` gives what was written to it, as the lines that a person sees."""

    def __init__(self, monkeypatch):
        self.reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 25, 100, 0, 0))
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=self.stream))
        self.text = ""

    def wait_for(self, text):
        """Read until something was shown; the read waits for the writer."""
        while text not in self.text:
            assert select.select([self.reader], [], [], PATIENCE)[0], self.text
            self.text += os.read(self.reader, 4096).decode()

    def shown(self):
        """All lines, each as it was overwritten last."""
        self.stream.write("END\n")
        self.stream.flush()
        self.wait_for("END\r\n")
        *found, _ = self.text.replace("\x1b[A", "").split("\r\n")
        visible = [self._visible(line) for line in found]
        return [line for line in visible if line != "END"]

    def _visible(self, line):
        seen = ""
        for part in line.split("\r"):
            seen = part + seen[len(part) :]
        return seen.strip().removesuffix("END").strip() or "END"

    def close(self):
        self.stream.close()
        os.close(self.reader)


@pytest.fixture
def terminal(monkeypatch):
    found = Terminal(monkeypatch)
    yield found
    found.close()


def work(clock, count, seconds, **options):
    with progress.bar("reading", count, "row", **options) as bar:
        for _ in range(count):
            clock.seconds += seconds
            bar.update()


def test_short_work_writes_no_line(clock, lines):
    work(clock, 1000, 0.009)
    assert lines() == []


def test_long_work_writes_a_line_every_ten_seconds_and_one_at_its_end(clock, lines):
    work(clock, 1600, 0.03125)
    assert lines() == [
        "reading: 20 %, 320 of 1,600 rows, 10 s, about 40 s left",
        "reading: 40 %, 640 of 1,600 rows, 20 s, about 30 s left",
        "reading: 60 %, 960 of 1,600 rows, 30 s, about 20 s left",
        "reading: 80 %, 1,280 of 1,600 rows, 40 s, about 10 s left",
        "reading: 100 %, 1,600 of 1,600 rows, ended after 50 s",
    ]


def test_short_pieces_one_behind_the_other_are_not_silent(clock, lines):
    for _ in range(3):
        work(clock, 4, 2)
    assert lines() == [
        "reading: 25 %, 1 of 4 rows, 2 s, about 6 s left",
        "reading: 100 %, 4 of 4 rows, ended after 8 s",
    ]
    clock.seconds += 100  # in which the program does other things
    work(clock, 4, 2)
    assert len(lines()) == 2


def test_what_took_long_and_was_counted_at_its_end_has_one_line(clock, lines):
    work(clock, 1, 12)
    assert lines() == ["reading: 100 %, 1 of 1 rows, ended after 12 s"]


def test_what_was_done_before_is_not_taken_for_speed(clock, lines):
    with progress.bar("search", 1000, "step", 500) as bar:
        clock.seconds += 10
        bar.update(100)
        assert lines() == ["search: 60 %, 600 of 1,000 steps, 10 s, about 40 s left"]


def test_lines_have_figures_and_no_share_of_an_unknown_total(clock, lines):
    with progress.bar("reading", None, "batch") as bar:
        bar.note(epoch="1/2", loss="0.3")
        clock.seconds += 7260
        bar.update(1234)
    assert lines()[0] == "reading: 1,234 batches, 2 h 1 min, epoch 1/2, loss 0.3"


def test_a_line_says_the_inner_work_only(clock, lines):
    with progress.bar("outer", 2, "run") as outer, progress.bar("inner", 3, "step") as inner:
        clock.seconds += 11
        inner.update()
        outer.update()
    assert [line.partition(":")[0] for line in lines()] == ["inner", "inner"]


def test_nothing_is_shown_without_a_stderr_or_on_a_pipe_that_nobody_reads(clock, monkeypatch):
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=None))
    work(clock, 3, 20)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
        work(clock, 3, 20)
        with pytest.raises(BrokenPipeError):  # what the lines have left in the buffer
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


def test_a_bar_appears_after_half_a_second_and_goes_away(clock, terminal):
    with progress.bar("reading", 10, "row") as bar:
        clock.seconds += 0.4
        bar.update()
        assert terminal.shown() == []
        clock.seconds += 0.2
        bar.update()
        terminal.wait_for("reading:  20%")
    assert terminal.shown()[-1:] in ([], [""])


def test_a_bar_with_figures_is_there_at_once_and_stays(clock, terminal):
    with progress.bar("search", 10, "step", 5) as bar:
        clock.seconds += 0.1
        bar.update()
        bar.note(epoch="1/2", loss="0.3")
        terminal.wait_for("loss=0.3")
        bar.update(4)
    (left,) = terminal.shown()
    assert "search: 100%" in left
    assert "10/10" in left
    assert "epoch=1/2" in left


def test_short_work_shows_nothing_on_a_terminal(clock, terminal):
    work(clock, 10, 0.04)
    with progress.step("compiling"):
        pass
    assert terminal.shown() == []


def test_a_step_shows_that_it_runs_and_leaves_its_time(clock, terminal, monkeypatch):
    monkeypatch.setattr(progress, "_BETWEEN_TICKS", 0.001)
    with progress.step("compiling"):
        clock.seconds += 2
        terminal.wait_for("compiling [00:02]")
        clock.seconds += 1.4
        terminal.wait_for("compiling [00:03]")
    assert terminal.shown()[-1] == "compiling: 3 s"


def test_a_step_writes_a_line_every_ten_seconds(clock, lines, monkeypatch):
    monkeypatch.setattr(progress, "_BETWEEN_TICKS", 0.001)
    with progress.step("compiling"):
        for count in (1, 2):
            clock.seconds += 11
            lines(count)
    assert lines() == ["compiling: 11 s", "compiling: 22 s", "compiling: ended after 22 s"]
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_track_counts_what_is_done_and_closes_where_it_ends(clock, lines):
    seen = []
    for element in progress.track([3, 4], "reading", 7, "row", lambda count: count):
        seen.append(element)
        clock.seconds += 10
    assert seen == [3, 4]
    assert lines()[0].startswith("reading: 43 %, 3 of 7 rows")
    for _ in progress.track(iter("abc"), "others"):
        clock.seconds += 10
        break
    assert progress._open == []


class Sent(progress.Bar):
    """Keeps what it is told."""

    def __init__(self, told, *arguments):
        self.told = told
        told.append(arguments)

    def update(self, count=1):
        self.told.append(count)

    def note(self, **figures):
        self.told.append(figures)

    def close(self):
        self.told.append("closed")


def test_bars_can_be_shown_in_another_way(clock, lines):
    told = []
    with progress.using(lambda *arguments: Sent(told, *arguments)):
        with progress.bar("search", 5, "step", 2) as bar:
            bar.update(3)
            bar.note(loss="1")
        list(progress.track("ab", "reading"))
        with progress.step("compiling"):
            assert "progress" not in {thread.name for thread in threading.enumerate()}
    assert told[:4] == [("search", 5, "step", 2), 3, {"loss": "1"}, "closed"]
    assert told[4:8] == [("reading", 2, "", 0), 1, 1, "closed"]
    assert told[8:] == [("compiling", None, "", 0), "closed"]
    work(clock, 2, 10)
    assert len(lines()) == 2


def test_the_way_of_showing_comes_back_after_an_error(clock, lines):
    with pytest.raises(TypeError), progress.using(lambda *_: progress.Bar()):
        work(clock, 2, None)
    assert lines() == []
    work(clock, 2, 20)
    assert len(lines()) == 2


def test_clear_ends_what_is_open(clock, terminal):
    with progress.bar("reading", 10, "row") as bar:
        clock.seconds += 1
        bar.update()
        progress.clear()
        terminal.stream.write("error: it is wrong\n")
    assert terminal.shown()[-1] == "error: it is wrong"
