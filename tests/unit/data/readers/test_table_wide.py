"""Files of text with one series a line, against the arrays that were written."""

import numpy as np
import pytest

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import ROLES, UNLABELLED, Reading
from nas_lightning.errors import InputError

LABELS = ["idle", "wave", "shake"] * 3
X = np.random.default_rng(0).normal(size=(9, 40)).round(4)


def written(path, rows, header=None, sign=","):
    lines = [] if header is None else [sign.join(map(str, header))]
    path.write_text("\n".join([*lines, *(sign.join(map(str, row)) for row in rows)]) + "\n")
    return path


def read(path, **said):
    usual = {role: role for role in ROLES}  # as a configuration names them
    source = open_source(None, str(path), Reading(**said | {"columns": usual | said.get("columns", {})}))
    return collect(source, Reading(**said).variables), source.findings


def series_of(found):
    return [found.values[a:b, 0].tolist() for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("header", ["counted", "counted from 1", "none"])
@pytest.mark.parametrize("sign", [",", ";", "\t", " "])
def test_a_line_is_a_series_where_that_is_evident(tmp_path, place, header, sign):
    rows = [[label, *x] if place == "first" else [*x, label] for x, label in zip(X, LABELS, strict=True)]
    start = 1 if header == "counted from 1" else 0
    names = list(range(start, start + X.shape[1]))
    names = ["label", *names] if place == "first" else [*names, "label"]
    path = written(tmp_path / "x.csv", rows, None if header == "none" else names, sign)
    found, findings = read(path)
    assert series_of(found) == X.astype("float32").tolist()
    assert [found.label_names[i] for i in found.labels] == LABELS
    assert found.names[0] == ("line 1" if header == "none" else "line 2")
    label = "'label'" if header != "none" else f"the {place} cell"
    assert any(
        f"a line is a series, and {label} its label" in line and " [`series_per_line`=false]" in line
        for line in findings.decisions
    )


def test_a_line_is_a_series_where_it_is_said(tmp_path):
    """Few columns, names that are no numbers, or numbers as labels could be a table of channels."""
    names = [*(f"v{i}" for i in range(40)), "label"]
    rows = [[*x, label] for x, label in zip(X, LABELS, strict=True)]
    path = written(tmp_path / "x.csv", rows, names)
    with pytest.raises(InputError, match=r"has no column 'recording'.*`series_per_line`=true takes each line as one"):
        read(path)
    assert series_of(read(path, series_per_line=True)[0]) == X.astype("float32").tolist()
    few = written(tmp_path / "few.csv", [row[37:] for row in rows], ["0", "1", "2", "label"])
    with pytest.raises(InputError, match="has no column 'recording'"):
        read(few)
    assert series_of(read(few, series_per_line=True)[0]) == X[:, 37:].astype("float32").tolist()
    with pytest.raises(InputError, match="has no column 'recording'"):
        read(written(tmp_path / "y.csv", rows, [*range(40), "label"]), series_per_line=False)


def test_the_label_of_a_series_is_named_or_the_only_text(tmp_path):
    rows = [[*x, label] for x, label in zip(X, LABELS, strict=True)]
    activity = written(tmp_path / "a.csv", rows, [*range(40), "activity"])
    assert read(activity, series_per_line=True)[0].label_names == ("idle", "shake", "wave")
    assert read(activity, columns={"label": "activity"})[0].label_names == ("idle", "shake", "wave")
    numbers = [[*x, i % 3] for i, x in enumerate(X)]
    path = written(tmp_path / "n.csv", numbers)
    with pytest.raises(InputError, match=r"no column has text.*`columns.label`=0 for the first or -1 for the last"):
        read(path, series_per_line=True, header=False)
    found, _ = read(path, series_per_line=True, header=False, columns={"label": "-1"})
    assert series_of(found) == X.astype("float32").tolist()
    assert found.labels.tolist() == [0, 1, 2] * 3
    people = written(tmp_path / "p.csv", [[*row, "anna"] for row in rows], [*range(40), "activity", "person"])
    with pytest.raises(InputError, match=r"2 columns have text.*`columns.label`=its name"):
        read(people, series_per_line=True)
    found, _ = read(people, series_per_line=True, columns={"label": "activity", "group": "person"})
    assert list(found.groups) == ["anna"] * 9
    assert series_of(found) == X.astype("float32").tolist()
    alone, other = written(tmp_path / "a.csv", rows, [*range(40), "activity"]), {"label": "activity", "group": "person"}
    assert read(alone, series_per_line=True, columns=other, may_lack=("group",))[0].groups is None
    with pytest.raises(InputError, match=r"`columns.group`: there is no column 'person'"):
        read(alone, series_per_line=True, columns=other)
    with pytest.raises(InputError, match=r"`columns.label`: there is no column 'class'; found 0, 1, 2"):
        read(people, series_per_line=True, columns={"label": "class"})


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("filled", [True, False])
def test_series_of_different_length(tmp_path, place, filled):
    lengths = [40, 30, 39, 1, 25, 40, 12, 33, 38]
    rows = []
    for x, label, length in zip(X, LABELS, lengths, strict=True):
        cells = [*x[:length], *([""] * (40 - length) if filled else [])]
        rows.append([label, *cells] if place == "first" else [*cells, label])
    found, _ = read(written(tmp_path / "x.csv", rows))
    assert series_of(found) == [x[:length].astype("float32").tolist() for x, length in zip(X, lengths, strict=True)]
    assert [found.label_names[i] for i in found.labels] == LABELS


def test_a_short_first_line_is_not_taken_for_names_in_silence(tmp_path):
    rows = [[*x[: 30 + i], label] for i, (x, label) in enumerate(zip(X, LABELS, strict=True))]
    path = written(tmp_path / "x.csv", rows)
    with pytest.raises(InputError):
        read(path)
    with pytest.raises(InputError, match=r"its first line can be names or values; `header`=true or false says which"):
        read(path, series_per_line=True)
    found, _ = read(path, series_per_line=True, header=False)
    assert series_of(found) == [x[: 30 + i].astype("float32").tolist() for i, x in enumerate(X)]


def test_decimal_commas_in_series(tmp_path):
    rows = [[label, *(f"{value:.4f}".replace(".", ",") for value in x)] for x, label in zip(X, LABELS, strict=True)]
    assert series_of(read(written(tmp_path / "x.csv", rows, sign=";"))[0]) == X.astype("float32").tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({4: [*X[4][:39], "loud", "wave"]}, "line 5 has 'loud' among its values; allowed: numbers"),
        ({4: [*X[4], ""]}, "line 5 has no label"),
        ({4: [*X[4], "NaN"]}, "line 5 has no label"),
        ({4: [*[""] * 40, "wave"]}, "line 5 has no value"),
        ({4: ["wave"]}, "line 5 has 1 cells, and a series needs more"),
        ({4: [*X[4][:9], 1e60, *X[4][10:], "wave"]}, "line 5: row 9 of channel 0 (value) is infinite or too large"),
    ],
)
def test_the_line_in_which_something_is_wrong_is_named(tmp_path, change, text):
    rows = [change.get(i, [*x, label]) for i, (x, label) in enumerate(zip(X, LABELS, strict=True))]
    with pytest.raises(InputError) as error:
        read(written(tmp_path / "x.csv", rows))
    assert text in str(error.value)


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "id", "nr"])
@pytest.mark.parametrize("first", [0, 1, 7])
def test_a_column_before_the_values_that_is_none_is_left_out(tmp_path, index, first):
    names = [index, *range(X.shape[1]), "label"]
    rows = [[first + i, *x, label] for i, (x, label) in enumerate(zip(X, LABELS, strict=True))]
    path = written(tmp_path / "x.csv", rows, names)
    found, findings = read(path, series_per_line=True)
    assert series_of(found) == X.astype("float32").tolist()
    assert any("stands before the values of the series, and is left out" in line for line in findings.decisions)


@pytest.mark.parametrize("said", [{}, {"series_per_line": True}])
def test_numbers_of_lines_without_names_are_no_values(tmp_path, said):
    rows = [[i, *x, label] for i, (x, label) in enumerate(zip(X, LABELS, strict=True))]
    found, findings = read(written(tmp_path / "x.csv", rows), **said)
    assert series_of(found) == X.astype("float32").tolist()
    assert any("the column 1 stands before the values of the series" in line for line in findings.decisions)


def test_whole_numbers_that_do_not_count_lines_are_values(tmp_path):
    values = np.round(X * 100).astype(int)
    values[:, 0] = [3, 4, 5, 6, 7, 8, 9, 10, 12]
    rows = [[*x, label] for x, label in zip(values, LABELS, strict=True)]
    assert series_of(read(written(tmp_path / "x.csv", rows))[0]) == values.tolist()


NO_LABEL = {"columns": {"label": None}}
NAMES = list(range(X.shape[1]))


def unlabelled(path, **said):
    """Values of recordings whose labels are not looked at, these labels, and what was decided."""
    source = open_source(None, str(path), Reading(is_labelled=False, is_for_use=True, **said))
    found = list(source.recordings)
    return [each.values.T.tolist() for each in found], {each.label for each in found}, source.findings


@pytest.mark.parametrize(
    ("header", "first", "said"),
    [
        (None, "wave", {}), (["label", *NAMES], "wave", {}), (["label", *NAMES], "?", {}), (["label", *NAMES], "3", {}),
        (["kind", *NAMES], "wave", {"series_per_line": True}),
        (None, "3", {"series_per_line": True, "columns": {"label": "0"}}),
    ],
)  # fmt: skip
def test_labels_of_series_are_not_looked_at_where_a_network_takes_them(tmp_path, header, first, said):
    found, labels, findings = unlabelled(written(tmp_path / "x.csv", [[first, *x] for x in X], header), **said)
    assert found == [[x] for x in X.tolist()]
    assert labels == {UNLABELLED}
    assert findings.warnings == []


@pytest.mark.parametrize(("header", "said"), [(None, NO_LABEL), (NAMES, {}), (NAMES, NO_LABEL)])
def test_series_without_labels(tmp_path, header, said):
    found, _, findings = unlabelled(written(tmp_path / "x.csv", X, header), series_per_line=True, **said)
    assert found == [[x] for x in X.tolist()]
    assert any(line.startswith("no column is the label, so all others are values") for line in findings.warnings)


def test_numbers_alone_say_not_whether_one_is_a_label(tmp_path):
    path = written(tmp_path / "x.csv", X)
    with pytest.raises(InputError, match=r"`columns.label`=0 for the first or -1 for the last, null where there is "):
        unlabelled(path, series_per_line=True)
    with pytest.raises(InputError, match=r"`columns.label`=0 for the first or -1 for the last$"):
        read(path, series_per_line=True)


def test_a_recording_with_words_at_its_end_is_none_of_series(tmp_path):
    """Where channels are chosen, which series of one channel have not."""
    path = written(tmp_path / "x.csv", [[*x[:2], "note"] for x in X])
    [found] = unlabelled(path, variables=[0, 1])[0]
    assert found == X.T[:2].tolist()
