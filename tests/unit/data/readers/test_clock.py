"""Times of recordings against clocks that NumPy makes here."""

import numpy as np
import pandas as pd
import pytest

from nas_lightning.data.readers.clock import (
    counts,
    is_time,
    look,
    may_be_counter,
    may_be_time,
    rises,
    seconds_of,
    unit_in,
)
from nas_lightning.data.readers.stamps import Column
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError

T = 128
TICKS = np.arange(T) * 20_000  # microseconds at 50 Hz


def column_of(name, begins, findings, **said):
    begins = np.array(begins)
    names = [f"r{i}" for i in range(len(begins))]
    return Column("d", names, name, begins, Reading(**said), findings or Findings())


def seconds(times, column="time", begins=(0,), findings=None, **said):
    return seconds_of(column_of(column, begins, findings, **said), pd.Series(times))


def clocks(times, begins=(0,), findings=None, column="time_us", **said):
    about = column_of(column, begins, findings, **said)
    return look(about, seconds_of(about, pd.Series(times)))


def order_of(found, rows=T):
    return np.arange(rows) if found.order is None else found.order


@pytest.mark.parametrize(
    ("name", "expected"),
    [("time", "time"), ("Timestamp", "time"), ("time_ms", "time"), ("seconds_elapsed", "time"), ("Zeit", "time"),
     ("epoch", "time"), ("Time (s)", "time"), ("millis", "time"), ("DateTime", "time"), ("date", "time"),
     ("sensorTimestampNs", "time"), ("t", "maybe"), ("t_s", "maybe"), ("ts", "maybe"), ("t [ms]", "maybe"),
     ("ms", "maybe"), ("index", "counter"), ("sample", "counter"), ("n", "counter"), ("altimeter", ""),
     ("lifetime", ""), ("runtime", ""), ("multimeter_V", ""), ("centimeters", ""), ("temp", ""), ("sentiment", ""),
     ("T2M", ""), ("daytime", ""), ("x_t", ""), ("temps", ""), ("", ""), ("3", "")],
)  # fmt: skip
def test_names_of_clocks(name, expected):
    found = "time" if is_time(name) else "maybe" if may_be_time(name) else "counter" if may_be_counter(name) else ""
    assert found == expected


def test_what_rises_and_what_counts():
    both = np.array([0])
    assert rises(TICKS, both)
    assert not rises(np.sin(TICKS), both)
    assert rises(np.concatenate([TICKS, TICKS]), np.array([0, T]))
    assert not rises(np.array([1.0, 2.0]), both)  # two rows say nothing
    assert counts(np.arange(9), both)
    assert not counts(TICKS, both)


@pytest.mark.parametrize(
    ("column", "times", "said"),
    [
        ("time_ms", TICKS / 1000, {}),
        ("Time [us]", TICKS, {}),
        ("Time [µs]", TICKS, {}),
        ("timestamp (ms)", TICKS // 1000, {}),
        ("millis", TICKS // 1000, {}),
        ("micros", TICKS.astype(np.uint32), {}),
        ("time_ns", TICKS * 1000 + 1_700_000_000_000_000_000, {}),
        ("seconds_elapsed", TICKS / 1e6, {}),
        ("time_min", TICKS / 6e7, {}),
        ("time", TICKS / 1e6, {}),
        ("time", TICKS, {"time_unit": "us"}),
        ("time_ms", TICKS, {"time_unit": "us"}),
        ("time", 1_700_000_000 + TICKS / 1e6, {}),
        ("time", 1_700_000_000_000 + TICKS // 1000, {}),
        ("time", 1_700_000_000_000_000 + TICKS, {}),
        ("time", 1_700_000_000_000_000_000 + TICKS * 1000, {}),
        ("time", [f"{tick / 1e6:.2f}".replace(".", ",") for tick in TICKS], {}),
        ("time", pd.to_timedelta(TICKS, unit="us"), {}),
        ("time", pd.to_datetime(TICKS, unit="us"), {}),
        ("time", pd.to_datetime(TICKS, unit="us", utc=True).tz_convert("Europe/Berlin"), {}),
        ("time", [str(stamp.time()) for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.time() for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%H:%M:%S,%f") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%M:%S.%f") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.isoformat() for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%Y-%m-%d %H:%M:%S,%f") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%d.%m.%Y %H:%M:%S.%f") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%d-%b-%Y %H:%M:%S.%f") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
        ("time", [stamp.strftime("%m/%d/%Y %I:%M:%S.%f %p") for stamp in pd.to_datetime(TICKS, unit="us")], {}),
    ],
)  # fmt: skip
def test_times_in_every_form_are_the_seconds_they_say(column, times, said):
    found = seconds(times, column, **said)
    assert found.dtype == np.float64
    assert (found - found[0]).tolist() == pytest.approx((TICKS / 1e6).tolist(), abs=1e-6)


OFFSETS = pd.date_range("2024-03-31T01:59:59", periods=T, freq="20ms", tz="Europe/Berlin")
EARLY = pd.date_range("2024-02-01T23:59:59", periods=T, freq="20ms")
NIGHT = pd.date_range("2024-02-12T23:59:59", periods=T, freq="20ms")


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([stamp.isoformat() for stamp in OFFSETS], {}),
        ([stamp.strftime("%d.%m.%Y %H:%M:%S.%f%z") for stamp in OFFSETS], {}),
        ([stamp.isoformat() for stamp in OFFSETS.tz_convert("UTC")], {}),
        (list(NIGHT.strftime("%d.%m.%Y %H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%d/%m/%Y %H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%m/%d/%Y %H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%m/%d/%Y %I:%M:%S.%f %p")), {}),
        (list(NIGHT.strftime("%d-%b-%Y %H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%Y/%m/%d %H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%H:%M:%S.%f")), {}),
        (list(NIGHT.strftime("%I:%M:%S.%f %p")), {}),
        (list(EARLY.strftime("%d.%m.%y %H:%M:%S.%f")), {}),
        (list(EARLY.strftime("%d/%m/%Y %H:%M:%S.%f")), {"day_first": True}),
        (list(EARLY.strftime("%m/%d/%Y %H:%M:%S.%f")), {"day_first": False}),
    ],
)  # fmt: skip
def test_midnight_and_the_change_to_summer_time_are_no_jumps(times, said):
    found = clocks(times, column="time", **said)
    assert found.order is None
    assert found.rates.tolist() == pytest.approx([50], rel=1e-4)
    assert not len(found.breaks)


def test_open_dates_matter_only_over_midnight():
    days = [*pd.date_range("2024-02-01T10:00:00", periods=4, freq="20ms").strftime("%d/%m/%Y %H:%M:%S.%f")]
    nights = [*pd.date_range("2024-02-01T23:59:59.98", periods=4, freq="20ms").strftime("%d/%m/%Y %H:%M:%S.%f")]
    other = [*pd.date_range("2024-03-05T10:00:00", periods=4, freq="20ms").strftime("%d/%m/%Y %H:%M:%S.%f")]
    assert clocks(days + other, (0, 4), column="time").rates.tolist() == pytest.approx([50, 50])
    with pytest.raises(InputError, match=r"with the day or with the month first \(found '01/02/2024'\); say `day_f"):
        seconds(nights)
    findings = Findings()
    assert clocks([*nights, "13/02/2024 10:00:00"], (0, 4), findings, "time").rates[0] == pytest.approx(50)
    assert findings.decisions == ["dates in 'time' have the day first (in 01/02/2024) [`day_first`]"]


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (["2024-01-01T10:00:00", "2024-01-01T10:00:01Z"], "has times with and without an offset from UTC (found '2024"),
        (["01.02.2024 10:00", "13.13.2024 10:00"], "cannot be read (found '13.13.2024 10:00'"),
        (["13/02/2024 10:00", "02/13/2024 10:00"], "in different order (found '13/02/2024' and '02/13/2024')"),
        (["31.02.2024 10:00", "01.03.2024 10:00"], "cannot be read (found '31.02.2024 10:00'; allowed: numbers, 2024-"),
        (["2024-01-01 10:00", "noon"], "cannot be read (found 'noon'; allowed"),
        (["2024-01-01 10:00 CEST", "2024-01-01 10:01 CEST"], "cannot be read (found '2024-01-01 10:00 CEST'"),
        (["0.1", "noon"], "cannot be read (found 'noon'; allowed"),
        (["10:00:00", "10:61:00"], "cannot be read (found '10:61:00'"),
        ([True, False], "cannot be read (found 'True'"),
        (["0.1", ""], "has a row without a time"),
        ([0.1, None], "has a row without a time"),
        (["2024-01-01 10:00", None], "has a row without a time"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_read_end_in_a_sentence(times, text):
    with pytest.raises(InputError) as error:
        seconds(times)
    assert text in str(error.value)
    for word in ("pandas", "to_datetime", "format=", "utc=", "dayfirst", "errors="):
        assert word not in str(error.value)


def wrapped(period, first=None):
    """A counter that begins anew after half of the rows."""
    return (period - T // 2 * 20_000 + TICKS) % period if first is None else (first + TICKS) % period


@pytest.mark.parametrize(
    ("times", "column"),
    [
        (wrapped(2**32), "time_us"),
        (wrapped(2**32).astype(np.uint32), "micros"),
        (wrapped(2**24), "time_us"),
        (wrapped(2**32).astype(float), "time_us"),
        (wrapped(2**32) / 1000, "time_ms"),  # a board divides its microseconds
        ((2**16 - 64 * 20 + 20 * np.arange(T)) % 2**16, "time_ms"),
        ((2**16 - 64 * 20 + 20 * np.arange(T)) % 2**16, "time"),
        ((2**31 + 2**31 - 64 * 20 + 20 * np.arange(T)) % 2**32 - 2**31, "time_ms"),  # with a sign
        ((200 + np.arange(T)) % 256, "time"),
        ((20 * np.arange(T) + 500) % 1000, "ms"),
        ((0.02 * np.arange(T) + 59) % 60, "seconds"),
        ((0.02 * np.arange(T) + 86399) % 86400, "time_s"),
        ((3 * np.arange(T)) % 100, "time"),  # a period that nobody has heard of, many times
        ((400 * np.arange(T)) % 1000, "time_ms"),  # in more than a quarter of the rows
    ],
)  # fmt: skip
def test_a_counter_that_begins_anew_keeps_its_rows(times, column):
    findings = Findings()
    step = np.median(np.abs(np.diff(np.asarray(times, float))))
    found = clocks(times, (0,), findings, column)
    assert found.order is None
    assert not len(found.breaks)
    unit = {"ms": 1e-3, "us": 1e-6}.get(unit_in(column), 1)
    assert found.rates[0] == pytest.approx(1 / (step * unit), rel=1e-6)
    assert any("begins anew at 0; rows stay in their order (in r0: after" in line for line in findings.warnings)


def test_a_counter_that_begins_anew_in_one_of_many_recordings():
    times = np.concatenate([TICKS, wrapped(2**32), TICKS + 7])
    found = clocks(times, (0, T, 2 * T))
    assert found.order is None
    assert found.rates.tolist() == pytest.approx([50] * 3)
    assert not len(found.breaks)


@pytest.mark.parametrize(
    "second",
    [TICKS[:28], TICKS[:28] + 5_000, TICKS[:28] + 10_000, TICKS[:28] + 500_000, TICKS[:28] + 100 * 20_000 - 100_000],
    ids=["from 0", "between the ticks", "half a tick off", "from the middle", "set back by five ticks"],
)  # fmt: skip
def test_a_clock_that_starts_again_ends_windows(second):
    findings = Findings()
    found = clocks(np.concatenate([TICKS, TICKS[:100], second]), (0, T), findings)
    assert found.order is None
    assert found.breaks.tolist() == [T + 100]
    assert found.rates.tolist() == pytest.approx([50, 50])
    assert findings.warnings == [
        "the clock 'time_us' starts again or is set back, where windows end; rows stay in their order (in r1) "
        "[`clock`=sort]"
    ]


@pytest.mark.parametrize("how", ["swapped", "late", "shuffled", "descending", "halves", "two streams"])
def test_rows_out_of_order_are_sorted(how):
    random = np.random.default_rng(0)
    place = np.arange(T)
    if how == "swapped":
        place[[30, 31, 60, 61]] = [31, 30, 61, 60]
    if how == "late":
        place = np.insert(np.delete(place, 40), 46, 40)
    if how == "shuffled":
        random.shuffle(place)
    if how == "descending":
        place = place[::-1]
    if how == "halves":
        place = np.roll(place, 60)
    if how == "two streams":
        place = place.reshape(2, -1).T.ravel()
    findings = Findings()
    found = clocks(np.concatenate([TICKS, TICKS[place]]), (0, T), findings)
    assert (np.concatenate([TICKS, TICKS[place]])[found.order] == np.tile(TICKS, 2)).all()
    assert not len(found.breaks)
    assert found.rates.tolist() == pytest.approx([50, 50])
    assert findings.decisions[-1] == "rows are put in the order of 'time_us' (in r1) [`clock`=rows]"


@pytest.mark.parametrize("times", [
    np.random.default_rng(0).normal(size=T),  # no clock at all
    np.where(np.arange(T) == 50, 0, TICKS),  # one wrong stamp
    np.sin(np.arange(T) / 5),
], ids=["noise", "a wrong stamp", "a sine"])  # fmt: skip
def test_falls_that_are_neither_are_asked_about(times):
    with pytest.raises(InputError, match=r"'r0' fall back in \d+ of 128 rows; `clock`=rows keeps .*`clock`=so"):
        clocks(times)
    assert (np.asarray(times)[order_of(clocks(times, clock="sort"))] == np.sort(times)).all()
    found = clocks(times, clock="rows")
    assert found.order is None
    assert set(found.breaks) >= set(np.flatnonzero(np.diff(times) < 0) + 1)


@pytest.mark.parametrize("begins", [(0,), (0, T)])
def test_a_pause_ends_windows(begins):
    times = TICKS + 10_000_000 * (np.arange(T) >= 64)
    times = np.concatenate([TICKS, times]) if len(begins) > 1 else times
    findings = Findings()
    found = clocks(times, begins, findings)
    assert found.breaks.tolist() == [begins[-1] + 64]
    assert found.rates.tolist() == pytest.approx([50] * len(begins))
    where = f"(in r{len(begins) - 1}: 10 s) [`gaps`=keep]"
    assert findings.warnings == [f"there are pauses in 'time_us', at which windows end {where}"]
    findings = Findings()
    assert not len(clocks(times, begins, findings, gaps="keep").breaks)
    assert any("windows reach over pauses in 'time_us'" in line for line in findings.decisions)


def test_jitter_and_lost_rows_are_no_pauses():
    random = np.random.default_rng(0)
    jitter = TICKS + random.integers(-500, 500, T)
    lost = np.delete(TICKS, [10, 11, 50, 90])
    for times in (jitter, lost):
        found = clocks(times)
        assert not len(found.breaks)
        assert found.rates[0] == pytest.approx(50, rel=0.02)


def test_bursts_say_no_rate_and_end_no_windows():
    bursts = (np.arange(T) // 8) * 160_000 + (np.arange(T) % 8) * 100
    events = np.cumsum(np.random.default_rng(0).exponential(20_000, T))
    for times in (bursts, events):
        findings = Findings()
        found = clocks(times, (0,), findings)
        assert not len(found.breaks)
        assert np.isnan(found.rates[0])
        assert "come in bursts or unevenly, and say no rate" in findings.warnings[0]
    equal = clocks((np.arange(T) // 8) * 160_000)
    assert np.isnan(equal.rates[0])


def test_rates_below_one_hertz_are_asked_about_if_nobody_said_the_unit():
    findings = Findings()
    assert clocks(TICKS / 1000, (0,), findings, "time").rates[0] == pytest.approx(0.05)
    assert findings.warnings == [
        "the times in 'time', read in s, say less than 1 Hz; are they ms? (in r0: 0.05 Hz) [`time_unit`]"
    ]
    for said in ({"column": "time_s"}, {"column": "time", "time_unit": "s"}):
        findings = Findings()
        clocks(TICKS / 1000, (0,), findings, **said)
        assert not findings.warnings


def test_rates_are_exact():
    rates = np.array([49.7, 50.0, 50.2])
    times = np.concatenate([np.arange(T) / rate for rate in rates])
    assert clocks(times, (0, T, 2 * T), column="time").rates.tolist() == pytest.approx(rates.tolist(), rel=1e-9)


@pytest.mark.parametrize("first", [45334.5, 738000.5])
@pytest.mark.parametrize("rate", [1, 50, 1000])
def test_dates_that_are_counted_in_days_are_said(first, rate):
    findings = Findings()
    seconds(first + np.arange(T) / rate / 86400, "Date", findings=findings)
    assert any("look like dates in days" in line and "sampling_rate`]" in line for line in findings.warnings)
    findings = Findings()
    seconds(first + np.arange(T) / 50, "time", findings=findings)
    seconds(first + np.arange(T) / rate / 86400, "time_s", findings=findings)
    assert not findings.warnings
