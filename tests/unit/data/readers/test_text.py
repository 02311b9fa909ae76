import numpy as np
import pytest

from nas_lightning.data.readers.text import find_layout, read_many, read_numbers
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
