"""Excel sheets: one recording a file, or a long table."""

import datetime
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from recording_files import read_with as read

from nas_lightning.data.readers import excel, open_source
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError

openpyxl = pytest.importorskip("openpyxl")

VALUES = np.random.default_rng(0).standard_normal((30, 2))


def save(path, rows, *others):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    for title in others:
        book.create_sheet(title).append([1, 2, 3])
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def folder(path, rows, *others):
    for label in ("a", "b"):
        save(path / label / "r.xlsx", rows, *others)
    return path


def first_of(path, **said):
    recordings = list(open_source(None, str(path), Reading(**said)).recordings)
    assert len(recordings) == 2
    return recordings[0]


def test_values_and_names_and_the_clock(tmp_path):
    rows = [["time", "x", "y"], *([t / 50, *row] for t, row in enumerate(VALUES.tolist()))]
    one = first_of(folder(tmp_path, rows))
    np.testing.assert_allclose(one.values, VALUES, rtol=1e-14)
    assert one.channels == ("x", "y")
    assert one.sampling_rate == pytest.approx(50)


def test_dates_are_times(tmp_path):
    start = datetime.datetime(2024, 2, 28, 23, 59, 59)
    rows = [["timestamp", "x"], *([start + datetime.timedelta(milliseconds=20 * t), t % 7] for t in range(30))]
    one = first_of(folder(tmp_path, rows))
    assert one.values[:, 0].tolist() == [t % 7 for t in range(30)]
    assert one.sampling_rate == pytest.approx(50)


@pytest.mark.parametrize("before", [0, 2])
def test_a_bare_table_of_numbers_with_empty_rows_around_it(tmp_path, before):
    one = first_of(folder(tmp_path, [*([[]] * before), *VALUES.tolist(), [], [None, None]]))
    np.testing.assert_allclose(one.values, VALUES, rtol=1e-14)


def test_only_the_chosen_columns_are_read(tmp_path):
    rows = [["x", "remark", "y"], *([a, "good", b] for a, b in VALUES.tolist())]
    folder(tmp_path, rows)
    one = first_of(tmp_path, variables=["y", "x"])
    np.testing.assert_allclose(one.values, VALUES[:, ::-1], rtol=1e-14)
    with pytest.raises(InputError, match=r"a/r.xlsx: column 'remark' has text such as 'good'"):
        read(tmp_path)


def test_cells_that_are_missing_or_no_numbers(tmp_path):
    rows = [["x", "y"], [1, 2], [3, None], [5, 6], [7, 8]]
    with pytest.raises(InputError, match=r"a/r.xlsx: row 1 of channel 1 \(y\) is missing"):
        read(folder(tmp_path / "a", rows))
    rows[2][1] = "#DIV/0!"
    with pytest.raises(InputError, match="line 3, column 2 is '#DIV/0!'"):
        read(folder(tmp_path / "b", rows))


def test_other_sheets_are_not_read_and_that_is_said(tmp_path):
    found, findings = read(folder(tmp_path, VALUES.tolist(), "notes", "more"))
    assert len(found) == 2
    assert any("the first sheet of an Excel file is read, and no other (2 times" in line for line in findings.warnings)


def test_a_long_table(tmp_path):
    frame = pd.DataFrame({"recording": np.repeat(["r0", "r1", "r2"], 10), "label": np.repeat(["a", "b", "a"], 10)})
    frame["time"] = np.tile(np.arange(10) / 50, 3)
    frame["x"], frame["y"] = VALUES[:, 0], VALUES[:, 1]
    frame.to_excel(tmp_path / "table.xlsx", index=False)
    found, _ = read(tmp_path / "table.xlsx")
    np.testing.assert_array_equal(found.values.numpy(), VALUES.astype(np.float32))
    assert (list(found.names), found.labels.tolist()) == (["r0", "r1", "r2"], [0, 1, 0])
    np.testing.assert_allclose(found.sampling_rates, 50)


def test_an_index_is_no_variable_of_a_long_table(tmp_path):
    frame = pd.DataFrame({"recording": ["r0"] * 5 + ["r1"] * 5, "label": ["a"] * 5 + ["b"] * 5, "x": VALUES[:10, 0]})
    frame.to_excel(tmp_path / "table.xlsx")
    assert read(tmp_path / "table.xlsx")[0].values.shape == (10, 1)


def replaced(path, member, content):
    """The same file with another content of one member."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


SHEET = "xl/worksheets/sheet1.xml"
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "' + b"ha" * 1000 + b'">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 50) for n in range(8)
) + b"]>"  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<no xml", "cannot be read as .xlsx"),
        (HEAD + b"<sheetData><row r='1'><c r='XFD1'><v>1</v></c></row></sheetData></worksheet>", "has 16,384 cells"),
        (
            HEAD + b"<sheetData><row r='x'><c r='A1'><v>1</v></c></row></sheetData></worksheet>",
            "cannot be read as .xlsx",
        ),
        (
            LAUGHS + HEAD + b"<sheetData><row r='1'><c r='A1'><v>&i;</v></c></row></sheetData></worksheet>",
            "cannot be read",
        ),
        (HEAD + b" " * (3 << 20) + b"</worksheet>", "unpacks to 3,1"),
        (HEAD + b"</worksheet>", "is empty"),
    ],
)
def test_damaged_files_and_bombs_end_in_a_sentence(tmp_path, monkeypatch, content, text):
    monkeypatch.setattr(excel, "_LARGEST_UNZIPPED", 1 << 20)
    folder(tmp_path, VALUES.tolist())
    replaced(tmp_path / "a" / "r.xlsx", SHEET, content)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_row_of_a_high_number_does_not_take_long(tmp_path):
    folder(tmp_path, VALUES.tolist())
    rows = b"<row r='1'><c r='A1'><v>1</v></c></row><row r='200000'><c r='A200000'><v>2</v></c></row>"
    replaced(tmp_path / "a" / "r.xlsx", SHEET, HEAD + b"<sheetData>" + rows + b"</sheetData></worksheet>")
    with pytest.raises(InputError):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\xd0\xcf\x11\xe0 an old .xls"])
def test_other_files_of_this_name(tmp_path, content):
    folder(tmp_path, VALUES.tolist())
    (tmp_path / "a" / "r.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=r"a/r.xlsx: cannot be read as .xlsx"):
        read(tmp_path)
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=r"t.xlsx: cannot be read as .xlsx"):
        read(tmp_path / "t.xlsx")


def test_the_extra_is_named_where_the_package_is_missing(tmp_path, monkeypatch):
    folder(tmp_path, VALUES.tolist())
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    for path in (tmp_path, tmp_path / "a" / "r.xlsx"):
        with pytest.raises(InputError, match=r"needs the package openpyxl; .*: pip install 'nas-lightning\[excel\]'"):
            read(path)


def test_rows_above_the_names_of_a_long_table_can_be_skipped(tmp_path):
    rows = [["r0", "a", *row] for row in VALUES] + [["r1", "b", *row] for row in VALUES]
    save(tmp_path / "x.xlsx", [["My logger"], [], ["recording", "label", "x", "y"], *rows])
    with pytest.raises(InputError, match=r"row 3 has 4 cells.*; `skip_rows`=2 skips what stands before a table"):
        read(tmp_path / "x.xlsx")
    found, _ = read(tmp_path / "x.xlsx", skip_rows=2)
    assert np.allclose(found.values, np.concatenate([VALUES, VALUES]))
    with pytest.raises(InputError, match=r"its first sheet is empty behind row 99"):
        read(tmp_path / "x.xlsx", skip_rows=99)
    save(tmp_path / "x.xlsx", [["recording", "label", "x"], ["r0", "a", 1.0, 2.0]])
    with pytest.raises(InputError, match=r"row 2 has 4 cells and the first has 3; they must agree$"):
        read(tmp_path / "x.xlsx")


def rewritten(path, sheet, shared):
    """A workbook whose XML is another."""
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    members["[Content_Types].xml"] = members["[Content_Types].xml"].replace("</Types>", part)
    members["xl/sharedStrings.xml"] = f"<sst {namespace}><si><t>{shared}</t></si></sst>"
    members["xl/worksheets/sheet1.xml"] = f"<worksheet {namespace}><sheetData>{sheet}</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("sheet", "shared", "sentence"),
    [
        ('<row><c t="s"><v>0</v></c></row>', "a" * 32_768, "row 1 has a text of more than 32,767 letters"),
        ('<row r="1048577"><c><v>1</v></c></row>', "", "has more than 1,048,576 rows"),
    ],
)
def test_a_small_file_does_not_become_a_large_one(tmp_path, sheet, shared, sentence):
    folder(tmp_path, [("a", "b"), *VALUES.tolist()])
    rewritten(tmp_path / "b" / "r.xlsx", sheet, shared)
    with pytest.raises(InputError, match=sentence):
        read(tmp_path)
