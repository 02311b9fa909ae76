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
)
from nas_lightning.data.reading import Findings, Reading

T = 128
TICKS = np.arange(T) * 20_000  # microseconds at 50 Hz


def seconds(times, column="time", begins=(0,), findings=None, **said):
    begins = np.array(begins)
    names = [f"r{i}" for i in range(len(begins))]
    return seconds_of("d", names, column, pd.Series(times), begins, Reading(**said), findings or Findings())


def clocks(times, begins=(0,), findings=None, column="time_us", **said):
    begins = np.array(begins)
    names = [f"r{i}" for i in range(len(begins))]
    found = findings or Findings()
    reading = Reading(**said)
    return look(
        "d",
        names,
        column,
        seconds_of("d", names, column, pd.Series(times), begins, reading, found),
        begins,
        reading,
        found,
    )


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
