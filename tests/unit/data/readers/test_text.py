import numpy as np
import pytest

from nas_lightning.data.readers.text import read_many, read_numbers
from nas_lightning.data.readers.text_layout import find_layout
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.errors import InputError

GOOD = {
    "commas, no header": ("1,2\n3,4\n", None),
    "commas, header": ("a,b\n1,2\n3,4\n", ("a", "b")),
    "tabs": ("1\t2\n3\t4\n", None),
    "semicolons and decimal commas": ("x;y\n1,0;2,0\n3,0;4,0\n", ("x", "y")),
    "spaces": ("  1   2\n  3   4\n", None),
    "spaces after commas": ("a, b\n1, 2\n3, 4\n", ("a", "b")),
    "time column dropped": ("Time [s],a,b\n0,1,2\n1,3,4\n", ("a", "b")),
    "timestamps dropped": ("timestamp,a,b\n2024-01-01 00:00,1,2\n2024-01-01 00:01,3,4\n", ("a", "b")),
    "scientific, no header": ("1e0,2E+0\n3e0,4.0\n", None),
    "windows line ends": ("a,b\r\n1,2\r\n3,4\r\n", ("a", "b")),
    "blank lines": ("\n\na,b\n\n1,2\n\n3,4\n\n", ("a", "b")),
    "a delimiter at the end": ("1,2,\n3,4,\n", None),
    "no newline at the end": ("1,2\n3,4", None),
    "quotes": ('"a","b"\n"1","2"\n"3","4"\n', ("a", "b")),
    "a header of numbers and a name": ("a,2\n1,2\n3,4\n", ("a", "2")),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_text_reads(tmp_path, name):
    text, header = GOOD[name]
    (tmp_path / "x.csv").write_bytes(text.encode())
    content = read_numbers(tmp_path / "x.csv", "x.csv")
    values, channels = content.values, content.channels
    assert values.tolist() == [[1, 2], [3, 4]]
    assert channels == header


@pytest.mark.parametrize(
    ("text", "expected", "header"),
    [
        ("acc x (g)\n1\n2\n", [[1], [2]], ("acc x (g)",)),
        ("a;b\n0;1\n0,013;2,5\n", [[0, 1], [0.013, 2.5]], ("a", "b")),
        ("x;raw,y\n1,2\n3,4\n", [[1, 2], [3, 4]], ("x;raw", "y")),
    ],
)
def test_layouts_that_the_first_row_alone_does_not_tell(tmp_path, text, expected, header):
    (tmp_path / "x.csv").write_text(text)
    content = read_numbers(tmp_path / "x.csv", "x.csv")
    values, channels = content.values, content.channels
    assert (values.tolist(), channels) == (expected, header)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_encodings(tmp_path, encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "x.csv").write_bytes(mark + "Zeit time;Stärke\n0;1,5\n1;-2,5\n".encode(encoding))
    content = read_numbers(tmp_path / "x.csv", "x.csv")
    values, channels = content.values, content.channels
    assert values.tolist() == [[1.5], [-2.5]]
    assert channels == ("Stärke",)


def test_missing_values_are_nan(tmp_path):
    (tmp_path / "x.csv").write_text("a,b,c\n1,,3\n4,5,\nNA,8,nan\n")
    values = read_numbers(tmp_path / "x.csv", "x.csv").values
    assert np.isnan(values).tolist() == [[False, True, False], [False, False, True], [True, False, True]]


def test_the_layout_is_found(tmp_path):
    (tmp_path / "x.csv").write_text("u;v\n1,5;2\n")
    layout = find_layout(tmp_path / "x.csv", "x.csv")
    assert (layout.delimiter, layout.decimal, layout.header, layout.num_columns) == (";", ",", ("u", "v"), 2)


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    """The change happens between two real looks at the file."""
    from nas_lightning.data.readers import text

    path = tmp_path / "x.csv"
    path.write_text("1,2\n3,4\n")
    parse = text.parse

    def parse_and_append(*arguments):
        with path.open("a") as file:
            file.write("5,6\n")
        return parse(*arguments)

    monkeypatch.setattr(text, "parse", parse_and_append)
    with pytest.raises(InputError, match=r"x.csv: changed while it was read; read it when nothing writes into it"):
        read_numbers(path, "x.csv")


def test_many_files_of_time_alone_are_refused(tmp_path):
    files = [(tmp_path / f"{i}.csv", f"{i}.csv") for i in range(3)]
    for path, _ in files:
        path.write_text("time\n0\n1\n")
    with pytest.raises(InputError, match=r"0.csv: has only columns of time; at least one variable is needed"):
        list(read_many(files))


ROWS = [[0.5, -1.25, 3.0], [1.5, 2.25, -4.0], [2.5, 0.75, 5.0], [-3.5, 1.25, 6.0]]
SKIP, HEADER, DELIMITER, DECIMAL = "`skip_rows`", "`header`", "`delimiter`", "`decimal`"
VARIABLES = "`variables`"


def table(sign=",", decimal=".", first=None, last=""):
    """The rows as text; ``first`` gives a cell before each."""
    lines = []
    for i, row in enumerate(ROWS):
        cells = [repr(value).replace(".", decimal) for value in row]
        lines.append(sign.join(([first(i)] if first else []) + cells) + last)
    return "\n".join(lines) + "\n"


def both(tmp_path, text, reading=None, encoding="utf-8"):
    """What is read of a file alone and of three such files together, which must be the same, and the findings."""
    path, reading = tmp_path / "x.csv", reading or Reading()
    path.write_bytes(text.encode(encoding))
    findings, together = Findings(), Findings()
    alone = read_numbers(path, "x.csv", reading, findings)
    for content in read_many([(path, "x.csv")] * 3, reading, together):
        np.testing.assert_array_equal(content.values, alone.values)
        assert (content.channels, content.sampling_rate) == (alone.channels, alone.sampling_rate)
        assert content.breaks.tolist() == alone.breaks.tolist()
    counted = [line.replace("(3 times, first in ", "(in ") for line in together.decisions]
    assert sorted(counted) == sorted(findings.decisions)
    return alone, findings


def counting(i):
    return str(i)


def from_one(i):
    return str(i + 1)


def every_20(i):
    return str(20 * i)


BEFORE_THE_TABLE = {
    "a comment": ("# one\n\n# 50 Hz, 4 g\nx,y,z\n" + table(), "comments are skipped (in x.csv: line 3"),
    "per cent": ("% a\nx,y,z\n" + table(), "comments are skipped"),
    "slashes": ("// a\nx;y;z\n" + table(";"), "comments are skipped"),
    "semicolons": ("; a, b\nx,y,z\n" + table(), "comments are skipped"),
    "quoted": ('"# a, b"\nx,y,z\n' + table(), "comments are skipped"),
    "with a quote": ('# 5" sensor\nx,y,z\n' + table(), "comments are skipped"),
    "behind the names": ("x,y,z\n# g\n" + table(), "comments are skipped"),
    "between rows": ("x y z\n" + table(" ") + "# end\n", "comments are skipped"),
    "names in a comment": ("# made here\n# x y z\n" + table(" "), "the names of the columns are taken from a comment"),
    "names behind per cent": ("%x,y,z\n" + table(), "the names of the columns are taken from a comment"),
    "sep": ("sep=;\nx;y;z\n" + table(";", ","), "a line names the sign between cells (in x.csv: line 1)"),
    "sep of tabs": ('"sep=\t"\nx\ty\tz\n' + table("\t"), "a line names the sign between cells"),
    "sep of bars": ("SEP=|\nx|y|z\n" + table("|"), "cells are separated by bars"),
    "lines": ("Device: X\nSample rate: 50 Hz\n\nx,y,z\n" + table(), "lines before the table are skipped (in x.csv: 2 "),
    "pairs": ("Device,X\nSample rate,50\nx,y,z\n" + table(), "lines before the table are skipped"),
    "padded lines": ("Device: X,,\nRate: 50,,\nx,y,z\n" + table(), "lines before the table are skipped"),
    "other signs": ("Device;X\nRate;50\nx,y,z\n" + table(), "lines before the table are skipped"),
    "units": ("x,y,z\nm/s2,m/s2,m/s2\n" + table(), "a row of units below the names is skipped (in x.csv: line 2"),
    "units in brackets": ("x;y;z\n[g];[foo];[°C]\n" + table(";", ","), "a row of units below the names is skipped"),
    "few units": ("x\ty\tz\n(m/s^2)\t-\t\n" + table("\t"), "a row of units below the names is skipped"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE_THE_TABLE)
def test_what_stands_before_a_table_is_skipped_and_said(tmp_path, name):
    text, finding = BEFORE_THE_TABLE[name]
    content, findings = both(tmp_path, text)
    assert content.values.tolist() == ROWS
    assert content.channels == ("x", "y", "z")
    assert any(line.startswith(finding) for line in findings.decisions)


def test_comments_hide_nowhere(tmp_path):
    """The first column is not parsed, and a comment has as many cells as a row."""
    text = "label,x\n" + "a,1\n" * 200 + "# pause,7\nb,2\n"
    content, findings = both(tmp_path, text, Reading(variables=["x"]))
    assert content.values.tolist() == [[1]] * 200 + [[2]]
    assert f"comments are skipped (in x.csv) [{SKIP}]" in findings.decisions


NAMED_BY_NUMBERS = {
    "bare": ("0,1,2\n" + table(), ("0", "1", "2")),
    "from one": ("1;2;3\n" + table(";", ","), ("1", "2", "3")),
    "a selection": ("4\t5\t6\n" + table("\t"), ("4", "5", "6")),
    "with an index": (",0,1,2\n" + table(first=counting), ("0", "1", "2")),
    "a part of the rows": (",7,8,9\n" + table(first=lambda i: str(i + 100)), ("7", "8", "9")),
    "floats with an index": (";0.0;1.0;2.0\n" + table(";", first=counting), ("0.0", "1.0", "2.0")),
    "quoted": ('"5","1","9"\n' + table(), ("5", "1", "9")),
    "names and an index": (",x,y,z\n" + table(first=counting), ("x", "y", "z")),
    "unnamed": ("Unnamed: 0,x,y,z\n" + table(first=counting), ("x", "y", "z")),
    "a name for it": ("index,V1,V2,V3\n" + table(first=counting), ("V1", "V2", "V3")),
    "numbers of rows": ("No.,V1,V2,V3\n" + table(first=from_one), ("V1", "V2", "V3")),
    "behind a cross": ("#,x,y,z\n" + table(first=from_one), ("x", "y", "z")),
    "a name less": ('"V1" "V2" "V3"\n' + table(" ", first=lambda i: f'"{i + 1}"'), ("V1", "V2", "V3")),
}


@pytest.mark.parametrize("name", NAMED_BY_NUMBERS)
def test_names_and_indices_that_libraries_write_are_no_values(tmp_path, name):
    text, names = NAMED_BY_NUMBERS[name]
    content, findings = both(tmp_path, text)
    assert (content.values.tolist(), content.channels) == (ROWS, names)
    assert f"a row names the columns (in x.csv) [{HEADER}]" in findings.decisions


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("sign", "rows"),
    [
        (",", ["0,1,2", "5,6,7", "8,9,10"]),
        (",", ["0.0,1.0,2.0", "0.5,0.25,0.75", "3.5,4.5,5.5"]),
        (";", ["0;1", "0,5;0,25", "1,5;3,75"]),
        (",", ["0", "0.5", "0.25"]),
        (",", ["0", *(f"{500 + i}" for i in range(9))]),
        ("\t", ["1\t2\t3", *(f"{500 + i}\t{600 + i}\t{700 - i}" for i in range(9))]),
    ],
)
def test_a_first_row_that_can_be_both_is_asked_about(tmp_path, sign, rows, header):
    path, text = tmp_path / "x.csv", "\n".join(rows) + "\n"
    path.write_text(text)
    with pytest.raises(InputError, match=r"line 1 is .*, names or values; `header`=true or false says which"):
        read_numbers(path, "x.csv")
    with pytest.raises(InputError, match=r"`header`=true or false"):
        list(read_many([(path, "x.csv")] * 2))
    content, _ = both(tmp_path, text, Reading(header=header))
    numbers = [[float(cell.replace(",", ".")) for cell in row.split(sign)] for row in rows]
    assert content.values.tolist() == numbers[header:]
    assert (content.channels is not None) == header


@pytest.mark.parametrize(
    "text", ["0\n3\n7\n2\n9\n4\n1\n", "1,2\n3,4\n", "1,2,3\n4,5,6\n7,8,9\n", "0.0,1.0\n0.02,0.5\n", "5\n0.5\n0.25\n"]
)
def test_rows_that_are_like_those_below_are_values(tmp_path, text):
    content, findings = both(tmp_path, text)
    assert content.values.tolist() == [[float(cell) for cell in line.split(",")] for line in text.split()]
    assert any(line.startswith("the first row has values; no row names") for line in findings.decisions)


@pytest.mark.parametrize("sign", [";", "\t", " ", "|"])
@pytest.mark.parametrize("header", ["", "x{0}y{0}z\n"])
def test_decimal_commas_that_begin_late(tmp_path, sign, header):
    zeros = f"0{sign}0{sign}0\n"
    content, findings = both(tmp_path, header.format(sign) + zeros * 120 + table(sign, ","))
    assert content.values.tolist() == [[0.0] * 3] * 120 + ROWS
    assert f"decimals stand behind a comma (in x.csv) [{DECIMAL}]" in findings.decisions


def test_what_the_user_says_of_signs_holds(tmp_path):
    content, _ = both(tmp_path, "a b;c d\n1;2\n", Reading(delimiter="semicolon"))
    assert (content.values.tolist(), content.channels) == ([[1, 2]], ("a b", "c d"))
    content, _ = both(tmp_path, "1,5 2,5\n", Reading(delimiter="space", decimal="comma"))
    assert content.values.tolist() == [[1.5, 2.5]]
    content, _ = both(tmp_path, "1,234;2,500\n", Reading())
    assert content.values.tolist() == [[1.234, 2.5]]
    content, _ = both(tmp_path, "Device,X\nRate,50\nx,y\n1,2\n", Reading(skip_rows=2))
    assert (content.values.tolist(), content.channels) == ([[1, 2]], ("x", "y"))


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_what_spreadsheets_leave_empty_at_the_end(tmp_path, sign):
    padding, empty = sign * 2, sign * 4 + "\n"
    text = sign.join("xyz") + padding + "\n" + table(sign, last=padding) + empty * 3
    content, findings = both(tmp_path, text)
    assert (content.values.tolist(), content.channels) == (ROWS, ("x", "y", "z"))
    assert f"empty columns at the end are left out (in x.csv) [{VARIABLES}]" in findings.decisions
    assert "rows of empty cells at the end are left out (in x.csv)" in findings.decisions


def test_empty_rows_in_the_middle_are_missing_values(tmp_path):
    content, _ = both(tmp_path, "x,y\n1,2\n,\n3,4\n,\nNaN,NaN\n,\n")
    np.testing.assert_array_equal(content.values, [[1, 2], [np.nan] * 2, [3, 4], [np.nan] * 2, [np.nan] * 2])


def test_another_encoding_is_said(tmp_path):
    content, findings = both(tmp_path, "Höhe;y;z\n" + table(";", ","), encoding="cp1252")
    assert (content.values.tolist(), content.channels) == (ROWS, ("Höhe", "y", "z"))
    assert "text is read as cp1252 (in x.csv)" in findings.decisions


@pytest.mark.parametrize("names", ["a,b", "a,b,c"])
def test_commas_that_are_decimal_signs_too_are_said(tmp_path, names):
    width = names.count(",") + 1
    rows = [",".join(f"{row},{column}5" for column in range(width)) for row in range(9)]
    (tmp_path / "x.csv").write_text("\n".join([names, *rows]))
    with pytest.raises(InputError, match=r"; commas between cells and before decimals cannot be told apart$"):
        read_numbers(tmp_path / "x.csv", "x.csv")


@pytest.mark.parametrize("row", ["{},0{}", "-{},0{},{},5"])
def test_whole_numbers_that_look_like_decimals_are_asked_about(tmp_path, row):
    (tmp_path / "x.csv").write_text("".join(row.format(i, i, i) + "\n" for i in range(1, 20)))
    with pytest.raises(InputError, match=r"whole numbers or decimals; `delimiter`=comma or `decimal`=com"):
        read_numbers(tmp_path / "x.csv", "x.csv")
    content = read_numbers(tmp_path / "x.csv", "x.csv", Reading(delimiter="comma"))
    assert content.values[:, 1].tolist() == list(range(1, 20))


def test_one_column_of_decimals_behind_commas_is_read_where_that_is_said(tmp_path):
    (tmp_path / "x.csv").write_text("".join(f"{i},0{i}\n" for i in range(1, 10)))
    content = read_numbers(tmp_path / "x.csv", "x.csv", Reading(decimal="comma"))
    assert content.values[:, 0].tolist() == [float(f"{i}.0{i}") for i in range(1, 10)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n" + "1" * 100_000 + "x,2\n", "allowed: numbers"),
        ("time,y\n" + "1" * 100_000 + "x,2\n", "cannot be read"),
        ("time,y\n12:00" + " " * 100_000 + "x,2\n", "cannot be read"),
    ],
)
def test_a_long_cell_takes_no_longer_than_others(tmp_path, text, said):
    """In a pattern with two ways to match a digit, this took minutes."""
    path = tmp_path / "r.csv"
    path.write_text(text + "1,2\n" * 9)
    findings, refused = Findings(), ""
    try:
        read_numbers(path, "r.csv", findings=findings)
    except InputError as error:
        refused = str(error)
    assert said in refused + str(findings.warnings)
