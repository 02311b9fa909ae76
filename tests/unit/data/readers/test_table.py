import pandas as pd
import pytest
from recording_files import long_table, make_recordings

from nas_lightning.data.readers import open_source, table
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import collect
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
    assert found.class_names == ("0", "none")


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
    with pytest.raises(InputError, match=r"has no column 'persn', which dataset.columns.group names; found file, time"):
        read(tmp_path, frame, names | {"group": "persn"})


def test_groups_from_names(tmp_path):
    assert read(tmp_path, long_table(MADE), group_pattern=r"r(\d)\d|s(\d)").groups[:].words == ("0",)
    with pytest.raises(
        InputError, match=r"dataset.group_pattern: 's\(\\\\d\)' finds nothing in the name of .*t.csv: r00"
    ):
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
