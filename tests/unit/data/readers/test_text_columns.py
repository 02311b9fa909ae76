"""Which columns of a text file are variables, and which is the time."""

import numpy as np
import pytest

from nas_lightning.data.readers import text
from nas_lightning.data.readers.text import read_many, read_numbers
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError

VARIABLES = "`variables`"


def text_of(columns, sign=","):
    """A table of named columns."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    return "\n".join(sign.join(map(str, row)) for row in rows) + "\n"


def both(folder, texts, reading=None):
    """Files alone and together, which must be the same, and the findings of those alone."""
    reading, files = reading or Reading(), []
    for number, content in enumerate(texts):
        files.append((folder / f"{number}.csv", f"made: {number}.csv"))
        files[-1][0].write_text(content)
    findings, together = Findings(), Findings()
    alone = [read_numbers(*file, reading, findings) for file in files]
    for one, other in zip(alone, read_many(files, reading, together), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.channels, one.breaks.tolist()) == (other.channels, other.breaks.tolist())
        assert (one.sampling_rate or 0) == pytest.approx(other.sampling_rate or 0, rel=1e-9)
    assert {line.partition(" (")[0] for line in together.decisions} == {
        line.partition(" (")[0] for line in findings.decisions
    }
    return alone, findings


N = 12
X = [round(float(x), 3) for x in np.random.default_rng(0).standard_normal(N)]
Y = [round(float(y), 3) for y in np.random.default_rng(1).standard_normal(N)]
SECONDS = [round(0.02 * i, 2) for i in range(N)]


@pytest.mark.parametrize(
    "name",
    ["altimeter", "multimeter_V", "centimeters", "runtime", "lifetime", "sentiment", "t", "ts", "i", "index", "n"],
)
def test_variables_whose_names_look_like_a_time(tmp_path, name):
    contents, _ = both(tmp_path, [text_of({"time": SECONDS, name: X, "y": Y})] * 3)
    for content in contents:
        assert content.channels == (name, "y")
        np.testing.assert_array_equal(content.values, np.column_stack([X, Y]))
        assert content.sampling_rate == pytest.approx(50)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("time", 0.02), ("Time (s)", 0.02), ("t", 0.02), ("t_s", 0.02), ("ts_ms", 20), ("seconds_elapsed", 0.02),
        ("Zeit [ms]", 20), ("epoch_us", 20_000), ("sensorTimestamp_ms", 20), ("millis", 20),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_clocks_give_the_rate_and_are_no_channel(tmp_path, name, step, sign):
    times = [f"{step * i:.6g}" for i in range(N)]
    contents, findings = both(tmp_path, [text_of({"x": X, name: times, "y": Y}, sign)] * 3)
    for content in contents:
        assert (content.channels, content.sampling_rate) == (("x", "y"), pytest.approx(50))
        np.testing.assert_array_equal(content.values, np.column_stack([X, Y]))
    assert f"the column {name!r} is the time (3 times, first in made: 0.csv) [`columns.time`]" in (findings.decisions)


def test_the_row_of_units_gives_that_of_the_time(tmp_path):
    lines = text_of({"time": [20 * i for i in range(N)], "x": X}).split("\n")
    contents, _ = both(tmp_path, ["\n".join([lines[0], "[ms],m/s2", *lines[1:]])])
    assert contents[0].sampling_rate == pytest.approx(50)
    assert contents[0].values[:, 0].tolist() == X


def test_dates_are_times(tmp_path):
    stamps = [f"2024-03-01 12:00:0{i // 50}.{i % 50 * 20:03d}" for i in range(N)]
    contents, _ = both(tmp_path, [text_of({"timestamp": stamps, "x": X})] * 3)
    assert [content.sampling_rate for content in contents] == pytest.approx([50] * 3)


def test_rows_are_in_the_order_of_their_times_and_pauses_are_kept(tmp_path):
    order = np.random.default_rng(2).permutation(N)
    times = np.where(np.arange(N) < 8, SECONDS, np.add(SECONDS, 10))
    shuffled = text_of({"time": times[order], "x": np.array(X)[order]})
    contents, findings = both(
        tmp_path, [text_of({"time": SECONDS, "x": X}), text_of({"time": times, "x": X}), shuffled]
    )
    for content, breaks in zip(contents, [[], [8], [8]], strict=True):
        assert content.values[:, 0].tolist() == X
        assert (content.breaks.tolist(), content.sampling_rate) == (breaks, pytest.approx(50))
    assert any(line.startswith("there are pauses in 'time'") for line in findings.warnings)


def test_one_of_several_times_is_taken(tmp_path):
    unix = [1_700_000_000_000 + 20 * i for i in range(N)]
    text = text_of({"date": ["2024-01-01"] * N, "time": SECONDS, "timestamp": unix, "reaction_time": X, "y": Y})
    contents, findings = both(tmp_path, [text] * 2)
    assert contents[0].channels == ("reaction_time", "y")
    said = [line.partition(" (")[0] for line in findings.decisions]
    assert "the column 'time' is the time" in said
    assert "the column 'timestamp' is a time beside another one, and is left out" in said
    assert "the column 'date' is a time beside another one, and is left out" in said
    named, _ = both(tmp_path, [text], Reading(columns={"time": "timestamp"}))
    assert named[0].sampling_rate == pytest.approx(50)


def test_a_time_that_cannot_be_read_is_said_and_the_values_are_read(tmp_path):
    text = text_of({"time": ["start", *["later"] * (N - 1)], "x": X})
    contents, findings = both(tmp_path, [text] * 2)
    assert contents[0].values[:, 0].tolist() == X
    assert contents[0].sampling_rate is None
    assert (
        "the times in 'time' cannot be read, and say no sampling rate (2 times, first in made: the recording"
        in (findings.warnings[0])
    )
    with pytest.raises(InputError, match=r"made: the recording '0.csv' has times that cannot be read \(found 'start'"):
        both(tmp_path, [text], Reading(time_unit="ms"))


def test_a_clock_whose_first_rows_do_not_tell_is_asked_of_each_file(tmp_path):
    """``t`` is the time in one file and a temperature in another one."""
    texts = [text_of({"t": SECONDS, "x": X}), text_of({"t": Y, "x": X}), text_of({"t": [1, 2, 3] * 4, "x": X})]
    contents, _ = both(tmp_path, texts)
    assert [content.channels for content in contents] == [("x",), ("t", "x"), ("t", "x")]


@pytest.mark.parametrize(
    "columns",
    [
        {"x": X, "y": Y}, {"time": SECONDS, "x": X}, {"": range(N), "x": X}, {"t": SECONDS, "index": range(N), "x": X},
        {"timestamp": [f"2024-03-01T12:00:{i:02d}" for i in range(N)], "x": X}, {"i": X, "t": Y, "x": X},
        {"time": SECONDS, "timestamp": [20 * i for i in range(N)], "x": X},
    ],
)  # fmt: skip
def test_small_ordinary_files_are_not_read_one_by_one(tmp_path, monkeypatch, columns):
    files = [(tmp_path / f"{number}.csv", f"{number}.csv") for number in range(3)]
    for path, _ in files:
        path.write_text(text_of(columns))
    monkeypatch.setattr(text, "read_numbers", None)
    assert [len(content.values) for content in read_many(files)] == [N] * 3


WITH_TEXT = {
    "date": ["2024-01-01"] * N,
    "ax": X,
    "activity": ["idle"] * N,
    "ay": Y,
    "remark": ["a, b; c", "", *"c" * (N - 2)],
}


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("variables", "names"), [(["ay", "ax"], ("ay", "ax")), ([2, 0], ("ay", "ax")), (1, ("ax",)), (["ax"], ("ax",))]
)
def test_only_chosen_columns_are_parsed(tmp_path, variables, names, sign):
    columns = {name: [f'"{cell}"' if "," in str(cell) else cell for cell in cells] for name, cells in WITH_TEXT.items()}
    contents, _ = both(tmp_path, [text_of(columns, sign)] * 3, Reading(variables=variables))
    expected = np.column_stack([WITH_TEXT[name] for name in names])
    for content in contents:
        np.testing.assert_array_equal(content.values, expected)
        assert content.channels == names


def test_columns_without_names_are_chosen_by_numbers(tmp_path):
    text = "".join(f"idle,{x},{y}\n" for x, y in zip(X, Y, strict=True))
    contents, _ = both(tmp_path, [text] * 2, Reading(variables=[2, 1]))
    np.testing.assert_array_equal(contents[0].values, np.column_stack([Y, X]))
    with pytest.raises(InputError, match=r"made: 0.csv: column 1 has text such as 'idle'; name the columns to take by"):
        both(tmp_path, [text])


def test_a_column_that_is_named_is_taken_whatever_its_name(tmp_path):
    text = text_of({"": range(N), "time": SECONDS, "index": range(N), "x": X})
    contents, _ = both(tmp_path, [text] * 2, Reading(variables=["index", "time"]))
    np.testing.assert_array_equal(contents[0].values, np.column_stack([range(N), SECONDS]))
    assert contents[0].sampling_rate == pytest.approx(50)


REFUSED = {
    "text": (
        text_of(WITH_TEXT),
        Reading(),
        f"column 'activity' has text such as 'idle'; name the columns to take by {VARIABLES}",
    ),
    "chosen text": (
        text_of({"x": X, "a": "abcdefghijkl"}),
        Reading(variables=["a"]),
        "line 2, column 2 is 'a'; allowed: numbers",
    ),
    "per cent": (
        "a,b\n5%,1\n6%,2\n",
        Reading(),
        f"line 2, column 1 is '5%'; allowed: numbers; or name the columns to take by {VARIABLES}",
    ),
    "with a unit": ("a,b\n5.0 V,1\n6.0 V,2\n", Reading(), "line 2, column 1 is '5.0 V'; allowed: numbers"),
    "quoted commas": ('a,b\n"1,5","2,25"\n', Reading(), "line 2, column 1 is '1,5'; allowed: numbers"),
    "thousands": ("a;b\n1.234,5;2\n", Reading(), "line 2, column 1 is '1.234,5'; allowed: numbers"),
    "both signs": (
        "a;b\n0;0\n0,5;1\n0.5;1\n",
        Reading(),
        "line 4, column 1 is '0.5'; allowed: numbers with a decimal comma, as elsewhere",
    ),
    "both signs, late": (
        "a;b\n" + "0;0\n" * 150 + "0,5;1\n0.5;1\n",
        Reading(),
        "line 153, column 1 is '0.5'; allowed: numbers with a decimal comma",
    ),
    "a longer row": ("a,b,c\n1,2,x\n3,4,x,5\n", Reading(variables=["a"]), "line 3 has 4 cells and the first has 3"),
    "half a row": ("a,b,c\n1,2,x\n3", Reading(variables=["a"]), "line 3 has 1 cells and the first has 3"),
    "a longer row of spaces": (
        "a b c\n1 2 x\n3 4 x 5\n",
        Reading(variables=["a"]),
        "line 3 has 4 cells and the first has 3",
    ),
    "a longer row in quotes": (
        'a,b,c\n1,2,"x"\n3,4,x,5\n',
        Reading(variables=["a"]),
        "line 3 has 4 cells and the first has 3",
    ),
    "other names": ("a,b\n1,2\n", Reading(variables=["q"]), "found ['q']; made: 0.csv has the channels a, b"),
    "too many": ("time,b\n1,2\n", Reading(variables=[1]), "made: 0.csv has 1 channels: allowed are 1 to 1"),
    "twice": (
        "a,a\n1,2\n",
        Reading(variables=["a"]),
        "made: 0.csv: has two columns 'a'; give the numbers of the columns",
    ),
    "no such time": (
        "a,b\n1,2\n",
        Reading(columns={"time": "clock"}),
        "has no column 'clock', which `columns.time` names; found a, b",
    ),
    "no names": (
        "1,2\n3,4\n",
        Reading(columns={"time": "clock"}),
        "does not name its columns; `columns.time` names 'clock'",
    ),
    "pairs before": (
        "Device,X\nRate,50\nt,x\n0,1.5\n1,2.5\n",
        Reading(),
        "line 2, column 1 is 'Rate'; allowed: numbers; `skip_rows`=2",
    ),
    "pairs before numbers": ("Device,X\nRate,50\n0,1,2.5\n1,2,2.5\n", Reading(), "`skip_rows`=2"),
    "words before": ("Device: X\nRate: 50 Hz\nt x y\n0 1 2\n1 2 3\n", Reading(), "`skip_rows`=2"),
    "a title": ("My device\nvalue\n1\n2\n", Reading(), "`skip_rows`=1"),
    "skipped too much": (
        "a\n1\n2\n",
        Reading(skip_rows=9),
        "`skip_rows`: found 9; made: 0.csv has no row behind them",
    ),
    "skipped less than nothing": (
        "a\n1\n2\n",
        Reading(skip_rows=-1),
        "`skip_rows`: found -1; allowed: null or a whole number from 0",
    ),
    "names that are values": ("a,b\n1,2\n", Reading(header=False), "line 1, column 1 is 'a'; allowed: numbers"),
    "a word between cells": (
        "a,b\n1,2\n",
        Reading(delimiter="ab"),
        "`delimiter`: found 'ab'; allowed: null, comma, semicolon, tab, space, pipe",
    ),
    "one sign for both": (
        "a,b\n1,2\n",
        Reading(delimiter="comma", decimal="comma"),
        "`decimal`: found comma, which is between the cells",
    ),
    "no sign": ("a,b\n1,2\n", Reading(decimal="_"), "`decimal`: found '_'; allowed: null, point, comma"),
    "only comments": ("# a\n# b\n", Reading(), "made: 0.csv: is empty; rows of numbers are needed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_in_one_sentence(tmp_path, name):
    text, reading, said = REFUSED[name]
    for read in (read_numbers, lambda *file: list(read_many([file[:2]] * 3, *file[2:]))):
        (tmp_path / "0.csv").write_text(text)
        with pytest.raises(InputError) as error:
            read(tmp_path / "0.csv", "made: 0.csv", reading)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
