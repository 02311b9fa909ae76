import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from recording_files import long_table, make_recordings

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source, table
from nas_lightning.data.reading import ROLES, Reading
from nas_lightning.errors import InputError

MADE = make_recordings((12,) * 6)


def read(tmp_path, frame, columns=None, **options):
    frame.to_csv(tmp_path / "t.csv", index=options.pop("index", False))
    return collect(open_source(None, str(tmp_path / "t.csv"), Reading(columns=columns or {})), **options)


@pytest.mark.parametrize("rows", [5, 1 << 18])
def test_names_and_labels_are_as_they_are_written_in_every_piece(tmp_path, monkeypatch, rows):
    """With pieces of five rows, some hold only names that look like numbers."""
    monkeypatch.setattr(table, "_ROWS", rows)
    frame = long_table(MADE)
    frame["recording"] = frame["recording"].map(
        {"r00": "001", "r01": "002", "r02": "1e3", "r03": "x", "r04": "7", "r05": "08"}
    )
    frame["label"] = frame["label"].map({"calm": "0", "wild": "none"})
    found = read(tmp_path, frame)
    assert found.names == ("001", "002", "1e3", "x", "7", "08")
    assert found.label_names == ("0", "none")


def test_times_and_the_index_of_pandas_are_no_variables(tmp_path):
    frame = long_table(MADE).rename(columns={"time": "Timestamp"})
    assert read(tmp_path, frame, index=True).values.shape == (72, 2)


@pytest.mark.parametrize(
    "stamps", [["2024-01-01T00:00:00", "2024-01-01T00:00:00.020000"], ["01/02/2024 10:00", "01/02/2024 10:01"]]
)
def test_times_are_numbers_or_stamps(tmp_path, stamps):
    frame = long_table([(name, values[:2], label) for name, values, label in MADE])
    frame["time"] = stamps * 6
    rate = 50.0 if "T" in stamps[0] else 1 / 60
    assert read(tmp_path, frame).sampling_rates.tolist() == pytest.approx([rate] * 6)


def test_rows_are_ordered_by_time(tmp_path):
    frame = long_table(MADE)
    expected = read(tmp_path, frame).values
    shuffled = pd.concat([part.iloc[::-1] for _, part in frame.groupby("recording", sort=False)])
    assert read(tmp_path, shuffled).values.tolist() == expected.tolist()


def test_other_names_for_columns(tmp_path):
    frame = long_table(MADE).rename(columns={"label": "activity", "recording": "file"}).assign(person="p")
    names = {"label": "activity", "recording": "file", "group": "person"}
    found = read(tmp_path, frame, names)
    assert list(found.groups) == ["p"] * 6
    assert found.values.shape == (72, 2)
    with pytest.raises(InputError, match=r"has no column 'persn', which `columns.group` names; found file, time"):
        read(tmp_path, frame, names | {"group": "persn"})


def test_null_says_that_no_column_is_the_group(tmp_path):
    frame = long_table(MADE).assign(group=4.0)
    assert list(read(tmp_path, frame).groups) == ["4.0"] * 6
    found = read(tmp_path, frame, {"group": None})
    assert found.groups is None
    assert (found.channels[-1], set(found.values[:, -1].tolist())) == ("group", {4.0})


@pytest.mark.parametrize("may_lack", [(), ("group",)])
def test_a_column_that_other_recordings_had_may_be_absent(tmp_path, may_lack):
    long_table(MADE).drop(columns="label").to_csv(tmp_path / "t.csv", index=False)
    said = Reading(columns={"group": "person", "label": "state"}, is_labelled=False, may_lack=may_lack)
    if may_lack:
        assert sum(map(len, open_source(None, str(tmp_path / "t.csv"), said).recordings)) == 6
        return
    with pytest.raises(InputError) as error:
        open_source(None, str(tmp_path / "t.csv"), said)
    columns = (tmp_path / "t.csv").read_text().splitlines()[0].replace(",", ", ")
    assert str(error.value).endswith(f"has no column 'person', which `columns.group` names; found {columns}")


def test_groups_from_names(tmp_path):
    assert read(tmp_path, long_table(MADE), group_pattern=r"r(\d)\d|s(\d)").groups[:].words == ("0",)
    with pytest.raises(InputError, match=r"`group_pattern`: 's\(\\\\d\)' finds nothing in the name of .*t.csv: r00"):
        read(tmp_path, long_table(MADE), group_pattern=r"s(\d)")


def test_the_first_wrong_cell_is_shown(tmp_path):
    frame = long_table(MADE)
    frame["ch1"] = frame["ch1"].astype(object)
    frame.loc[30, "ch1"] = "oops"
    with pytest.raises(
        InputError, match=r"the column 'ch1' of the recording 'r02' has text such as 'oops'; allowed: num"
    ):
        read(tmp_path, frame)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("rows", [1, 7, 12, 25])
def test_recordings_may_end_anywhere_in_a_piece(tmp_path, monkeypatch, ending, rows):
    frame = long_table(make_recordings((12, 1, 30, 5, 12, 3))).assign(group=lambda t: t["recording"].str[-1])
    save = {"csv": lambda path: frame.to_csv(path, index=False), "parquet": frame.to_parquet}[ending]
    save(tmp_path / f"t.{ending}")
    path = str(tmp_path / f"t.{ending}")
    whole = collect(open_source(None, path))
    monkeypatch.setattr(table, "_ROWS", rows)
    pieces = collect(open_source(None, path))
    assert pieces.values.tolist() == whole.values.tolist() == frame[["ch0", "ch1"]].to_numpy("float32").tolist()
    assert pieces.lengths.tolist() == whole.lengths.tolist() == [12, 1, 30, 5, 12, 3]
    assert (pieces.names, list(pieces.groups)) == (whole.names, list(whole.groups))
    assert pieces.sampling_rates.tolist() == pytest.approx(whole.sampling_rates.tolist(), nan_ok=True)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"row": 40, "label": "odd"}, "the recording 'r03' has 2 values of 'label', among them 'wild' and 'odd'"),
        ({"row": 40, "split": "exam"}, "the recording 'r03' has 2 values of 'split', among them 'train' and 'exam'"),
        ({"row": 40, "ch1": "oops"}, "the column 'ch1' of the recording 'r03' has text such as 'oops'"),
        ({"row": 40, "time": None}, "the recording 'r03' has a row without a time"),
        ({"row": 40, "recording": None}, "the column 'recording' has an empty cell"),
        ({"row": 40, "recording": "r00"}, "the rows of the recording 'r00' do not stand together"),
    ],
)
def test_the_recording_in_which_something_is_wrong_is_named(tmp_path, change, text):
    frame = long_table(MADE).assign(split="train").astype(object)
    row = change.pop("row")
    for column, value in change.items():
        frame.loc[row, column] = value
    with pytest.raises(InputError) as error:
        read(tmp_path, frame)
    assert text in str(error.value)


USUAL = {role: role for role in ROLES}
"""As a configuration names the columns where nobody says otherwise."""

FORMS = ("csv", "parquet", "frame")
T = 60


def sensors(clock=None, num=6, rows=T, **columns):
    """A long table of ``num`` recordings, with the times that ``clock(recording)`` gives."""
    parts = []
    for i in range(num):
        values = np.sin(np.arange(rows)[:, None] * (0.3 + 0.7 * (i % 2)) + [i, i + 1]).round(4)
        part = pd.DataFrame(
            {"recording": f"r{i}", "label": ("idle", "wave")[i % 2], "x": values[:, 0], "y": values[:, 1]}
        )
        if clock is not None:
            part.insert(2, "time", clock(i))
        parts.append(part)
    return pd.concat(parts, ignore_index=True).assign(**columns)


def save(tmp_path, frame, form):
    """The table in a form, as what ``source_of`` takes."""
    if form == "frame":
        return frame
    path = tmp_path / f"t.{form}"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)
    return path


def source_of(saved, **said):
    reading = Reading(**said | {"columns": USUAL | said.get("columns", {})})
    return (
        table.read_frame(saved, reading) if isinstance(saved, pd.DataFrame) else open_source(None, str(saved), reading)
    )


def found(saved, **said):
    """What is read, what was said of it, and the rows before which time does not go on, of all recordings."""
    source = source_of(saved, **said)
    blocks = list(source.recordings)
    starts = np.cumsum([0, *(len(block.values) for block in blocks)])
    breaks = [start + block.breaks for start, block in zip(starts, blocks, strict=False)]
    source = replace(source, recordings=blocks)
    return collect(source, Reading(**said).variables), source.findings, np.concatenate(breaks).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_columns_with_time_within_their_names_are_variables(tmp_path, form):
    frame = sensors(lambda i: np.arange(T) / 50).rename(columns={"x": "altimeter", "y": "lifetime"})
    frame["multimeter_V"] = frame["altimeter"] + 1
    read_, findings, _ = found(save(tmp_path, frame, form))
    expected = frame[["altimeter", "lifetime", "multimeter_V"]].to_numpy("float32")
    assert read_.values.numpy().tolist() == expected.tolist()
    assert any(line.startswith("the column 'time' is the time") for line in findings.decisions)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["seconds_elapsed", "t_s", "t", "ts", "Zeit", "epoch", "Timestamp", "TIME"])
def test_a_clock_of_another_name_is_the_time(tmp_path, form, name):
    saved = save(tmp_path, sensors(lambda i: np.arange(T) / 50).rename(columns={"time": name}), form)
    read_, findings, _ = found(saved)
    assert read_.values.shape == (6 * T, 2)
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert any(f"the column {name!r} is the time" in line for line in findings.decisions)
    named, _, _ = found(saved, variables=["x", name])
    assert named.values[:T, 1].tolist() == pytest.approx((np.arange(T) / 50).tolist())
    assert np.isnan(named.sampling_rates).all()


@pytest.mark.parametrize("form", FORMS)
def test_what_only_may_be_a_clock_is_one_if_it_rises(tmp_path, form):
    frame = sensors(t=lambda f: f["x"] * 3, n=lambda f: f["y"] + 1, index=np.tile(np.arange(T), 6))
    frame["sample"] = frame["x"] * 2
    read_, findings, _ = found(save(tmp_path, frame, form))
    assert read_.values.numpy().tolist() == frame[["x", "y", "t", "n", "sample"]].to_numpy("float32").tolist()
    assert any("the column 'index' counts the rows and is left out" in line for line in findings.decisions)


@pytest.mark.parametrize("form", FORMS)
def test_of_several_clocks_one_is_the_time_and_a_sensor_stays(tmp_path, form):
    frame = sensors(lambda i: np.arange(T) / 50)
    frame["time_ms"] = frame["time"] * 1000
    frame["response_time"] = frame["x"].abs()
    frame["date"] = "2024-03-01"
    read_, findings, _ = found(save(tmp_path, frame, form))
    assert read_.values.numpy().tolist() == frame[["x", "y", "response_time"]].to_numpy("float32").tolist()
    said = "\n".join(findings.decisions)
    assert "the column 'time_ms' rises as a second time and is left out" in said
    assert "the column 'date' is a second time and is left out" in said
    assert "the column 'response_time' does not rise as a time does and is a variable" in said


@pytest.mark.parametrize("form", FORMS)
def test_date_and_time_of_day_in_two_columns(tmp_path, form):
    frame = sensors(date="2024-03-01", Uhrzeit=[f"10:00:{row / 50:09.6f}" for row in range(T)] * 6)
    read_, _, _ = found(save(tmp_path, frame, form))
    assert read_.values.shape == (6 * T, 2)
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)


@pytest.mark.parametrize("form", FORMS)
def test_a_named_column_is_the_time_whatever_it_looks_like(tmp_path, form):
    frame = sensors(pressure=np.tile(np.arange(T) * 20, 6), t=np.tile(np.arange(T) / 10, 6))
    read_, _, _ = found(save(tmp_path, frame, form), columns={"time": "pressure"}, time_unit="ms")
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert read_.values.shape == (6 * T, 2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variables", [["y", "x"], [1, 0], 2])
def test_columns_of_text_are_not_read_if_others_are_chosen(tmp_path, form, variables):
    """Nor are dates, remarks and columns of another kind."""
    frame = sensors(lambda i: np.arange(T) / 50, activity="sitting", remark=[None, "a, b"] * (3 * T))
    frame["day"] = "Tuesday"
    read_, _, _ = found(save(tmp_path, frame, form), variables=variables)
    expected = frame[["x", "y"] if variables == 2 else ["y", "x"]].to_numpy("float32")
    assert read_.values.numpy().tolist() == expected.tolist()
    with pytest.raises(
        InputError, match=r"the column 'activity' .*'r0' has text such as 'sitting'; .*variables` names the"
    ):
        found(save(tmp_path, frame, form))


@pytest.mark.parametrize("form", FORMS)
def test_spaces_around_names_and_labels_are_none(tmp_path, form):
    frame = sensors(lambda i: np.arange(T) / 50, split="train ", group="\tanna")
    expected, _, _ = found(save(tmp_path, sensors(lambda i: np.arange(T) / 50), form))
    frame["label"] = [f" {label} " if i % 2 else f"{label}\t" for i, label in enumerate(frame["label"])]
    frame["recording"] = [f"{name} " if i % 3 else name for i, name in enumerate(frame["recording"])]
    frame.columns = [f" {name} " for name in frame.columns]
    read_, _, _ = found(save(tmp_path, frame, form))
    assert read_.label_names == ("idle", "wave")
    assert list(read_.names) == [f"r{i}" for i in range(6)]
    assert read_.values.tolist() == expected.values.tolist()
    assert (list(read_.groups), list(read_.splits)) == (["anna"] * 6, ["train"] * 6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\r\nb", "a\u2028b", "a\x0bb"])
def test_a_name_that_no_list_can_hold_is_refused(tmp_path, form, name):
    frame = sensors().replace({"recording": {"r2": name}})
    with pytest.raises(
        InputError, match=r"'a b' has a tab or an end of line in it, which the lists of splits"
    ) as error:
        found(save(tmp_path, frame, form))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", ["", " ", "NaN", "nan", "None", "NULL", "N/A", None, float("nan")])
def test_a_missing_label_is_none(tmp_path, form, label):
    frame = sensors()
    frame["label"] = frame["label"].astype(object)
    frame.loc[frame["recording"] == "r2", "label"] = label
    with pytest.raises(InputError, match=r"the recording 'r2' has no label"):
        found(save(tmp_path, frame, form))


@pytest.mark.parametrize("form", FORMS)
def test_none_is_a_class_and_a_label_in_one_row_is_that_of_its_recording(tmp_path, form):
    frame = sensors().replace({"label": {"idle": "none"}})
    frame["label"] = [label if i % T == 0 else "" for i, label in enumerate(frame["label"])]
    read_, findings, _ = found(save(tmp_path, frame, form))
    assert read_.label_names == ("none", "wave")
    assert any("rows without a label take that of their recording" in line for line in findings.warnings)


@pytest.mark.parametrize("form", FORMS)
def test_another_case_of_a_name_is_said(tmp_path, form):
    frame = sensors()
    with pytest.raises(InputError, match=r"no column 'label'.*; found 'Label'; set `columns.label`=Label"):
        found(save(tmp_path, frame.rename(columns={"label": "Label"}), form))
    with pytest.raises(InputError, match=r"no column 'recording'.*; found 'Recording'; set `columns.recording`=Rec"):
        found(save(tmp_path, frame.rename(columns={"recording": "Recording"}), form))
    read_, findings, _ = found(save(tmp_path, frame.assign(Group=1.0), form))
    assert read_.values.shape == (6 * T, 3)
    assert findings.warnings[0].startswith("the column 'Group' is a variable and not the group")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["end", "between"])
def test_empty_rows_are_left_out(tmp_path, form, where):
    frame = sensors(lambda i: np.arange(T) / 50)
    expected, _, _ = found(save(tmp_path, frame, form))
    empty = pd.DataFrame({name: [None] * 5 for name in frame.columns})
    at = len(frame) if where == "end" else 2 * T
    frame = pd.concat([frame.iloc[:at].astype(object), empty, frame.iloc[at:].astype(object)], ignore_index=True)
    frame[["x", "y", "time"]] = frame[["x", "y", "time"]].astype(float)
    read_, findings, _ = found(save(tmp_path, frame, form))
    assert read_.values.tolist() == expected.values.tolist()
    assert any("empty rows are left out (5 times" in line for line in findings.decisions)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [7, 40, 1 << 18])
@pytest.mark.parametrize(
    "clock",
    [
        lambda i: ((1 << 32) - (T // 2 - i) * 20_000 + np.arange(T) * 20_000) % (1 << 32),
        lambda i: (((1 << 32) - (T // 2 - i) * 20_000 + np.arange(T) * 20_000) % (1 << 32)).astype(np.uint32),
    ],
    ids=["int", "uint32"],
)
def test_a_counter_that_wraps_does_not_roll_a_recording(tmp_path, monkeypatch, form, rows, clock):
    monkeypatch.setattr(table, "_ROWS", rows)
    frame = sensors(clock).rename(columns={"time": "time_us"})
    read_, findings, breaks = found(save(tmp_path, frame, form))
    assert read_.values.numpy().tolist() == frame[["x", "y"]].to_numpy("float32").tolist()
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert breaks == []
    assert any("falls back as a counter does that begins anew" in line for line in findings.warnings)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [7, 1 << 18])
def test_a_board_that_starts_again_and_a_pause_end_windows(tmp_path, monkeypatch, form, rows):
    monkeypatch.setattr(table, "_ROWS", rows)

    def clock(i):
        times = np.arange(T) / 50
        return times - 0.6 * (i == 1) * (np.arange(T) >= 40) + 10.0 * (i == 3) * (np.arange(T) >= 30)

    frame = sensors(clock)
    read_, findings, breaks = found(save(tmp_path, frame, form))
    assert read_.values.numpy().tolist() == frame[["x", "y"]].to_numpy("float32").tolist()
    assert breaks == [T + 40, 3 * T + 30]
    assert any("(in r3: 10 s) [`gaps`=keep]" in line for line in findings.warnings)
    assert found(save(tmp_path, frame, form), gaps="keep")[2] == [T + 40]


@pytest.mark.parametrize("form", FORMS)
def test_rows_out_of_order_are_sorted_in_their_recording_only(tmp_path, form):
    frame = sensors(lambda i: np.arange(T) / 50)
    order = np.concatenate([np.random.default_rng(i).permutation(T) + i * T for i in range(6)])
    read_, findings, _ = found(save(tmp_path, frame.iloc[order], form))
    assert read_.values.numpy().tolist() == frame[["x", "y"]].to_numpy("float32").tolist()
    assert any("rows are put in the order of 'time' (6 times, first in r0)" in line for line in findings.decisions)
    read_, _, _ = found(save(tmp_path, frame.iloc[order], form), clock="rows")
    assert read_.values.numpy().tolist() == frame.iloc[order][["x", "y"]].to_numpy("float32").tolist()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("start", [0, 1_700_000_000])
def test_units_of_times(tmp_path, form, scale, start):
    frame = sensors(lambda i: start * scale + np.arange(T) * (scale // 50))
    unit = {1_000: "ms", 1_000_000: "us", 1_000_000_000: "ns"}[scale]
    assert found(save(tmp_path, frame, form), time_unit=unit)[0].sampling_rates.tolist() == pytest.approx([50] * 6)
    renamed = frame.rename(columns={"time": f"time [{unit}]"})
    assert found(save(tmp_path, renamed, form))[0].sampling_rates.tolist() == pytest.approx([50] * 6)
    read_, findings, _ = found(save(tmp_path, frame, form))
    assert read_.sampling_rates.tolist() == pytest.approx([50 if start else 50 / scale] * 6)
    assert any("say less than 1 Hz; are they" in line for line in findings.warnings) == (not start)


@pytest.mark.parametrize("form", FORMS)
def test_stamps_with_offsets_over_the_change_to_summer_time(tmp_path, form):
    stamps = pd.date_range("2024-03-31T01:59:59.5", periods=T, freq="20ms", tz="Europe/Berlin")
    frame = sensors(lambda i: [stamp.isoformat() for stamp in stamps])
    read_, _, breaks = found(save(tmp_path, frame, form))
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert breaks == []
    if form != "csv":  # which holds no types
        read_, _, breaks = found(save(tmp_path, sensors(lambda i: stamps), form))
        assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
        assert breaks == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("written", ["%d/%m/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S.%f"])
@pytest.mark.parametrize("rows", [7, 1 << 18])
def test_the_order_of_day_and_month_is_that_of_the_whole_table(tmp_path, monkeypatch, form, written, rows):
    """The night of the first recording can be read in two ways; the day of the last tells which is right."""
    monkeypatch.setattr(table, "_ROWS", rows)
    days = ["2024-02-01T23:59:59.5", "2024-02-03", "2024-02-04", "2024-02-05", "2024-02-06", "2024-02-14"]
    frame = sensors(lambda i: pd.date_range(days[i], periods=T, freq="20ms").strftime(written))
    read_, findings, breaks = found(save(tmp_path, frame, form))
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert breaks == []
    first = "day" if written.startswith("%d") else "month"
    assert any(f"dates in 'time' have the {first} first" in line for line in findings.decisions)
    with pytest.raises(InputError, match=r"say `day_first`=true or `day_first`=false"):
        found(save(tmp_path, frame[frame["recording"] != "r5"], form))


def cut_at(frame, begins):
    """The values of the rows from each begin to the next."""
    bounds = [*begins, len(frame)]
    return [frame[["x", "y"]].to_numpy("float32")[a:b].tolist() for a, b in itertools.pairwise(bounds)]


def parts_of(read_):
    return [read_.values[a:b].tolist() for a, b in itertools.pairwise(read_.starts.tolist())]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [7, 25, T, 1 << 18])
def test_a_run_of_a_label_is_a_recording(tmp_path, monkeypatch, form, rows):
    monkeypatch.setattr(table, "_ROWS", rows)
    frame = sensors(lambda i: np.arange(T) / 50 + i * T / 50).drop(columns="recording")
    frame.loc[100:109, "label"] = "idle"
    with pytest.raises(InputError, match=r"`recording_ends`=label ends .*=gap.*`series_per_line`=true"):
        found(save(tmp_path, frame, form))
    read_, _, breaks = found(save(tmp_path, frame, form), recording_ends="label")
    begins = [0, 60, 100, 110, 120, 180, 240, 300]
    assert parts_of(read_) == cut_at(frame, begins)
    assert list(read_.names) == [str(i) for i in range(8)]
    assert [read_.label_names[i] for i in read_.labels] == frame["label"].iloc[begins].tolist()
    assert breaks == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [7, 25, T, 1 << 18])
def test_recordings_are_cut_where_the_label_changes(tmp_path, monkeypatch, form, rows):
    monkeypatch.setattr(table, "_ROWS", rows)
    frame = sensors()
    frame.loc[100:109, "label"] = "idle"
    with pytest.raises(InputError, match=r"'r1' has 2 values of 'label'.*; `recording_ends`=label ends a recording"):
        found(save(tmp_path, frame, form))
    read_, _, _ = found(save(tmp_path, frame, form), recording_ends="label")
    assert list(read_.names) == ["r0/0", "r1/0", "r1/1", "r1/2", "r2/0", "r3/0", "r4/0", "r5/0"]
    assert list(read_.groups) == ["r0", "r1", "r1", "r1", "r2", "r3", "r4", "r5"]
    assert parts_of(read_) == cut_at(frame, [0, 60, 100, 110, 120, 180, 240, 300])
    people = frame.assign(group=frame["recording"].str[-1].astype(int) // 2)
    read_, _, _ = found(save(tmp_path, people, form), recording_ends="label")
    assert list(read_.groups) == ["0", "0", "0", "0", "1", "1", "2", "2"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [25, T, 1 << 18])
@pytest.mark.parametrize("clock", ["pauses", "starts again", "stamps"])
def test_a_pause_ends_a_recording(tmp_path, monkeypatch, form, rows, clock):
    monkeypatch.setattr(table, "_ROWS", rows)
    start = {"pauses": 100, "starts again": -1000, "stamps": 100}[clock]
    frame = sensors(lambda i: np.arange(T) / 50 + i * (start + 2)).drop(columns="recording")
    if clock == "stamps":
        frame["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["time"].round(2), unit="s")
    read_, findings, breaks = found(save(tmp_path, frame, form), recording_ends="gap")
    assert parts_of(read_) == cut_at(frame, range(0, 6 * T, T))
    assert list(read_.names) == [str(i) for i in range(6)]
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert breaks == []
    assert any("a recording ends where 'time' pauses for more than 0.1 s" in line for line in findings.decisions)


def test_pauses_need_times(tmp_path):
    with pytest.raises(InputError, match=r"`recording_ends`=gap needs a column of times; `columns.time` names"):
        found(sensors(), recording_ends="gap")
    with pytest.raises(InputError, match=r"'time' pause or fall back in .*; `recording_ends`=gap needs times that m"):
        found(sensors(lambda i: np.random.default_rng(i).normal(size=T)), recording_ends="gap")
    with pytest.raises(InputError, match=r"`recording_ends`: found 'file'; allowed: null, column, label, gap"):
        found(sensors(), recording_ends="file")


def text_of(frame, sign=",", decimal="."):
    return frame.to_csv(index=False, sep=sign, decimal=decimal)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "sep=;\n" + text,
        lambda text: "\ufeffsep=;\r\n" + text.replace("\n", "\r\n"),
        lambda text: "# made by a logger\n# serial 12\n" + text,
        lambda text: "Logger 3000\nFirmware;1.2\n\n" + text,
        lambda text: text.replace("\n", "\n# resumed\n", 2),
        lambda text: text.replace("x;y\n", "x;y\n;;ms;g;g\n"),
        lambda text: text.replace("\n", ";\n"),
        lambda text: text.replace(";", " ; "),
        lambda text: text.replace("recording", '"recording"').replace("idle", '"idle"'),
        lambda text: text + ";;;;\n" * 4,
        lambda text: text + "\n\n  \n",
    ],
    ids=["sep", "mark", "comments", "preamble", "below", "units", "closed", "spaces", "quotes", "empty", "blank"],
)  # fmt: skip
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_table_of_text_however_it_is_written(tmp_path, change, decimal):
    frame = sensors(lambda i: np.arange(T) * 20).rename(columns={"time": "time_ms"})
    (tmp_path / "t.csv").write_text(change(text_of(frame, ";", decimal)))
    read_, _, breaks = found(tmp_path / "t.csv")
    assert read_.values.numpy().tolist() == frame[["x", "y"]].to_numpy("float32").tolist()
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert read_.label_names == ("idle", "wave")
    assert breaks == []
    chosen, _, _ = found(tmp_path / "t.csv", variables=["y"])
    assert chosen.values.numpy().tolist() == frame[["y"]].to_numpy("float32").tolist()


def test_a_row_of_units_says_that_of_the_time(tmp_path):
    frame = sensors(lambda i: np.arange(T) * 20_000)
    (tmp_path / "t.csv").write_text(text_of(frame).replace("x,y\n", "x,y\n,,us,g,g\n"))
    assert found(tmp_path / "t.csv")[0].sampling_rates.tolist() == pytest.approx([50] * 6)


def test_names_that_begin_as_comments_do(tmp_path):
    frame = sensors()
    frame["recording"] = "#" + frame["recording"]
    read_, _, _ = found(save(tmp_path, frame, "csv"))
    assert list(read_.names) == [f"#r{i}" for i in range(6)]
    assert read_.values.shape == (6 * T, 2)


@pytest.mark.parametrize("variables", [None, ["x"], ["y"]])
@pytest.mark.parametrize("row", ["r5,wave,1,2,3", "r5,wave,a remark, with a comma,1,2", "r5,wave,1,2,,,3"])
def test_a_row_that_is_too_long_is_named_whatever_is_read(tmp_path, variables, row):
    text = text_of(sensors()) + row + "\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(
        InputError, match=rf"line {6 * T + 2} has \d cells and the line of names has 4; they must agree"
    ):
        found(tmp_path / "t.csv", variables=variables)


def test_commas_within_quotes_make_no_row_too_long(tmp_path):
    frame = sensors(remark="a, b")
    read_, _, _ = found(save(tmp_path, frame, "csv"), variables=["x", "y"])
    assert read_.values.shape == (6 * T, 2)


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("recording,label,x, x\nr,a,1,2\n")
    with pytest.raises(InputError, match=r"has two columns 'x'; allowed: each name once"):
        found(tmp_path / "t.csv")


@pytest.mark.parametrize("index", ["time", "recording", None])
def test_an_index_of_a_data_frame_is_a_column(tmp_path, index):
    """Of several levels, too; and one without a name is left out, unless it is of times."""
    frame = sensors(lambda i: np.arange(T) / 50)
    frame = frame.set_index(index) if index else frame.set_index(["recording", "time"])
    for saved in (frame, tmp_path / "t.parquet"):
        frame.to_parquet(tmp_path / "t.parquet")
        read_, _, _ = found(saved)
        assert read_.values.shape == (6 * T, 2)
        assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    stamps = sensors().set_index(pd.DatetimeIndex(pd.date_range("2024-01-01", periods=6 * T, freq="20ms")))
    assert found(stamps)[0].sampling_rates.tolist() == pytest.approx([50] * 6)
    odd = sensors().set_index(pd.Index(np.arange(6 * T) ** 2))
    odd.to_parquet(tmp_path / "o.parquet")
    read_, findings, _ = found(tmp_path / "o.parquet")
    assert read_.values.shape == (6 * T, 2)
    assert any("the column without a name is left out" in line for line in findings.decisions)


class Polars:
    """What a data frame of another library offers."""

    def __init__(self, frame):
        self.frame = frame

    def to_pandas(self):
        return self.frame


def test_data_frames_of_others_and_what_is_none():
    frame = sensors(lambda i: np.arange(T) / 50)
    before = frame.copy()
    source = table.read_frame(Polars(frame), Reading(variables=["x"]))
    assert collect(source).values.shape == (6 * T, 1)
    assert source.is_chosen
    pd.testing.assert_frame_equal(frame, before)
    with pytest.raises(InputError, match="the data frame: is ndarray; allowed: a data frame of pandas or polars"):
        table.read_frame(frame.to_numpy(), Reading())
    with pytest.raises(InputError, match="has names of columns of 2 levels; allowed: one"):
        table.read_frame(pd.concat({"a": frame}, axis=1), Reading())


@pytest.mark.parametrize("times", ["numbers", "stamps", "stamps with a zone", "durations"])
def test_data_frames_with_types_of_arrow(times):
    ticks = pd.timedelta_range(0, periods=T, freq="20ms")
    clock = {
        "numbers": np.arange(T) / 50,
        "stamps": pd.Timestamp("2024-01-01") + ticks,
        "stamps with a zone": pd.Timestamp("2024-01-01", tz="Europe/Berlin") + ticks,
        "durations": ticks,
    }[times]
    frame = sensors(lambda i: clock)
    for saved in (frame, frame.convert_dtypes(dtype_backend="pyarrow"), frame.convert_dtypes()):
        read_, _, _ = found(saved)
        assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
        assert read_.values.numpy().tolist() == frame[["x", "y"]].to_numpy("float32").tolist()


@pytest.mark.parametrize("form", ["parquet", "frame"])
def test_types_of_columns(tmp_path, form):
    frame = sensors(lambda i: pd.to_timedelta(np.arange(T) * 20, unit="ms"), num=6)
    frame["recording"] = frame["recording"].str[1:].astype(int)
    frame["label"] = frame["label"].astype("category")
    frame["x"] = frame["x"].round().astype("Int16")
    frame["flag"] = frame["y"] > 0
    read_, _, _ = found(save(tmp_path, frame, form))
    assert list(read_.names) == list("012345")
    assert read_.sampling_rates.tolist() == pytest.approx([50] * 6)
    assert read_.values.numpy().tolist() == frame[["x", "y", "flag"]].to_numpy("float32").tolist()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [5, 1 << 18])
def test_short_recordings_end_at_pauses_too(tmp_path, monkeypatch, form, rows):
    monkeypatch.setattr(table, "_ROWS", rows)
    frame = sensors(lambda i: np.arange(8) / 50 + 30 * i, rows=8).drop(columns="recording")
    read_, _, _ = found(save(tmp_path, frame, form), recording_ends="gap")
    assert parts_of(read_) == cut_at(frame, range(0, 48, 8))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("time", [float("inf"), -float("inf")])
def test_an_infinite_time_is_refused(tmp_path, form, time):
    frame = sensors(lambda i: np.arange(T) / 50)
    frame.loc[70, "time"] = time
    with pytest.raises(
        InputError, match=r"the recording 'r1' has times that cannot be read \(found '-?inf'; allowed: num"
    ):
        found(save(tmp_path, frame, form))
