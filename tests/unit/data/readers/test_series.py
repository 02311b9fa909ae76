"""``.ts``, ``.tsv`` and ``.arff`` as other programs and hands write them."""

import numpy as np
import pytest
from aeon.datasets import load_from_arff_file

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import UNLABELLED, Reading
from nas_lightning.errors import InputError

VALUES = np.arange(24.0).reshape(6, 4) ** 2 / 8
LABELS = ["run", "walk slow", "run", "walk slow", "run", "run"]


def read(path, **said):
    """Values of each recording, labels, and what was decided."""
    source = open_source(None, str(path), Reading(**said))
    found = collect(source)
    rows = [found.values[a:b].tolist() for a, b in zip(found.starts, found.starts[1:], strict=False)]
    return rows, [found.label_names[label] for label in found.labels], source.findings


def columns(values):
    return [[[value] for value in row] for row in values.tolist()]


def written(tmp_path, ending, text):
    path = tmp_path / f"made.{ending}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def arff(tmp_path, attributes, rows, end="\n"):
    lines = [
        "% made here",
        "@RELATION 'made'",
        "",
        *(f"@attribute {line}" for line in attributes),
        "",
        "@Data",
        "% rows",
    ]
    return written(tmp_path, "arff", end.join([*lines, *rows, "", "%end", ""]))


NUMERIC = [f"att{i} {kind}" for i, kind in enumerate(("numeric", "REAL", "integer", "numeric"))]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_of_arff_are_no_part_of_a_label(tmp_path, quote, end):
    rows = [",".join(map(str, v)) + f", {quote}{label}{quote}" for v, label in zip(VALUES, LABELS, strict=True)]
    path = arff(tmp_path, [*NUMERIC, f"target {{{quote}run{quote},{quote}walk slow{quote}}}"], rows, end)
    found, labels, findings = read(path)
    assert (found, labels, findings.decisions) == (columns(VALUES), LABELS, [])


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("declared", ["{run,'walk slow'}", "{'walk slow' , run}", "string"])
def test_the_class_of_arff_is_found_where_it_stands(tmp_path, place, declared):
    """The order of the declaration changes nothing: classes are in order of their names."""
    rows, attributes = [], NUMERIC.copy()
    attributes.insert(place, f"'the class'\t{declared}")
    for values, label in zip(VALUES, LABELS, strict=True):
        cells = [str(value) for value in values]
        cells.insert(place, f"'{label}'")
        rows.append(",".join(cells))
    found, labels, findings = read(arff(tmp_path, attributes, rows))
    assert (found, labels) == (columns(VALUES), LABELS)
    assert len(findings.decisions) == (place != 4)
    assert all("the class is the attribute that has names, and not the last" in line for line in findings.decisions)


def test_relational_arff_is_read_as_aeon_reads_it(tmp_path):
    """Dimensions stand in quotes, with a backslash and n between them; labels without quotes."""
    path = tmp_path / "made.arff"
    rows = ["'1,2,3\\n4,5,6',a", '"7,8,?\\n1,1,1",b', "'1,2,3\\n0,0,1',a"]
    head = (
        "@relation r\n@attribute rel relational\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute t2 numeric\n"
    )
    path.write_text(head + "@end rel\n@attribute act {a,b}\n@data\n" + "\n".join(rows[::2] * 2 + [rows[1]]) + "\n")
    from nas_lightning.data.readers.arff import read_arff
    from nas_lightning.data.reading import Findings

    own = list(read_arff(path, Reading(), Findings()))
    assert [values.T.tolist() for values, _ in own[:2]] == [[[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [0, 0, 1]]]
    assert np.array_equal(own[4][0].T, [[7, 8, np.nan], [1, 1, 1]], equal_nan=True)
    path.write_text(head + "@end rel\n@attribute act {a,b}\n@data\n" + "\n".join(rows[::2] * 2) + "\n")
    x, y = load_from_arff_file(str(path))
    assert [values.T.tolist() for values, _ in own[:4]] == x.tolist()
    assert [label for _, label in own[:4]] == y.tolist()


def test_escapes_and_commas_in_labels(tmp_path):
    names = {"it\\'s": "it's", "a, b": "a, b", "x\\\\y": "x\\y", "50\\%": "50%", " sp ": "sp"}
    rows = [f"1,2,3,4,'{name}'" for name in names for _ in range(2)]
    path = arff(tmp_path, [*NUMERIC, "c {" + ",".join(f"'{name}'" for name in names) + "}"], rows)
    assert read(path)[1] == [name for name in names.values() for _ in range(2)]


def test_a_numeric_class_needs_its_name(tmp_path):
    rows = [f"1,2,3,4,{i % 2 + 1}.0" for i in range(4)]
    assert read(arff(tmp_path, [*NUMERIC, "Class numeric"], rows))[1] == ["1", "2"] * 2
    with pytest.raises(
        InputError, match=r"the class must be the last attribute, or .* names: none, as the last: att9$"
    ):
        read(arff(tmp_path, [*NUMERIC, "att9 numeric"], rows))


@pytest.mark.parametrize(
    ("attributes", "rows", "text"),
    [
        (["a {x,y}", "b {u,v}", "c numeric"], ["x,u,1"], "found with names: a and b, as the last: c"),
        (
            ["a {x,y}", "b numeric", "c {u,v}"],
            ["x,1,u"],
            "the attribute 'a' is nominal; allowed: numeric ones, or one rel",
        ),
        (["a date 'yyyy'", "c {u,v}"], ["x,u"], "the attribute 'a' is date; allowed: numeric ones"),
        (["a numeric", "c {u,v}"], ["1,w"], "line 9 has the label 'w'; allowed: u, v"),
        (["a numeric", "c {u,v}"], ["1,?"], r"line 9 has the label '\?'; each series needs one"),
        (["a numeric", "c {u,v}"], ["1,2,u"], "line 9 has 3 cells and there are 2 attributes"),
        (["a numeric", "c {u,v}"], ["1,'u"], "line 9 has a quote that does not end, or text behind one"),
        (["a numeric", "c {u,v}"], ["{0 1, 1 'u'}"], "line 9 lists places and values; allowed: all values"),
        (["a numeric", "c {u,v}"], ["x,u"], "line 9 has 'x' among its values; allowed: numbers"),
        (["a strange", "c {u,v}"], [], "line 4 is '@attribute a strange'; allowed: @attribute NAME numeric"),
        (["c {u,v}"], ["u"], "has 1 attributes; allowed: values, and the class as the last"),
    ],
)
def test_other_arff_is_refused(tmp_path, attributes, rows, text):
    with pytest.raises(InputError, match=text):
        read(arff(tmp_path, attributes, rows))


def test_a_quote_without_an_end_takes_no_time(tmp_path):
    with pytest.raises(InputError, match="line 9 has a quote that does not end"):
        read(arff(tmp_path, ["a numeric", "c {u,v}"], ["'" + " \\" * 200_000 + ",u"]))
    with pytest.raises(InputError, match=r"line 9 has "):
        read(arff(tmp_path, ["a numeric", "c {u,v}"], [" " * 200_000 + "x" + " " * 200_000 + "'u"]))


TSV = [[*map(str, v), label] for v, label in zip(VALUES, LABELS, strict=True)]


def tsv(tmp_path, rows, header=None, sign="\t", end="\n"):
    lines = [sign.join([row[-1], *row[:-1]]) for row in rows]
    return written(tmp_path, "tsv", end.join([*([header] if header else []), *lines, ""]))


@pytest.mark.parametrize(
    "header", ["label\t0\t1\t2\t3", "\t0\t1\t2\t3", "y\t1\t2\t3\t4", "class\tt0\tt1\tt2\tt3", "what\ta\tb\tc\td"]
)
def test_a_header_of_tsv_is_no_series(tmp_path, header):
    found, labels, findings = read(tsv(tmp_path, TSV, header))
    assert (found, labels) == (columns(VALUES), LABELS)
    assert findings.decisions == [
        f"the first line names the columns (in {tmp_path / 'made.tsv'}: {header.split(chr(9))[0]!r}) [`header`]"
    ]


def test_a_first_line_that_may_be_a_header_is_told(tmp_path):
    rows = [["0", "1", "2", "3", "run"], *TSV]
    found, _, findings = read(tsv(tmp_path, rows))
    assert len(found) == 7
    assert findings.warnings[0].startswith("the first line counts up; is it a header? (in ")
    assert len(read(tsv(tmp_path, rows), header=True)[0]) == 6
    assert len(read(tsv(tmp_path, TSV, "label\t0\t1\t2\t3"), header=False)[0]) == 7


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("sign", ["\t", " \t ", ",", ";"])
def test_labels_of_tsv_have_no_spaces_around_them(tmp_path, sign, end):
    found, labels, _ = read(tsv(tmp_path, TSV, sign=sign, end=end))
    assert (found, labels) == (columns(VALUES), LABELS)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1\t2\t3\trun", "line 2 has 'run' among its values; allowed: numbers"),
        ("x1\t2\t3\trun", "line 2 has 'run' as the last cell; allowed: the label first, then numbers"),
        ("nan\t2\t3\t1", "line 2 has the label 'nan'; each series needs one"),
        ("\t2\t3\t1", "line 2 has the label ''; each series needs one"),
    ],
)
def test_other_tsv_is_refused(tmp_path, line, text):
    with pytest.raises(InputError, match=text):
        read(written(tmp_path, "tsv", f"1\t2\t3\t4\n{line}\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_ts_with_spaces_and_other_cases(tmp_path, end, mark):
    lines = [
        "# a comment",
        "",
        "@ProblemName made",
        "@TIMESTAMPS  False",
        "@ClassLabel TRUE run walk",
        "@DATA",
        "# more",
    ]
    lines += [" 1, 2 ,3 : 4,5,? : run ", "", "1,1,1:2,2,2:walk slow", "6,5,4:3,2,1: run", "1,2,3:1,2,3:walk slow  ", ""]
    rows, labels, _ = read_missing(written(tmp_path, "ts", mark + end.join(lines).encode()))
    assert labels == ["run", "walk slow", "run", "walk slow"]
    assert rows[2] == [[6, 3], [5, 2], [4, 1]]


def read_missing(path):
    source = open_source(None, str(path))
    found = collect(source, missing="interpolate")
    rows = [found.values[a:b].tolist() for a, b in zip(found.starts, found.starts[1:], strict=False)]
    return rows, [found.label_names[label] for label in found.labels], source.findings


def test_more_dimensions_than_steps_are_no_question_in_ts(tmp_path):
    """There, the format says which is which."""
    lines = ["@data", *(":".join(["1,2"] * 9) + f":{label}" for label in "abab")]
    assert np.shape(read(written(tmp_path, "ts", "\n".join(lines)))[0]) == (4, 2, 9)


@pytest.mark.parametrize("label", ["?", "NaN", " "])
def test_ts_without_a_label_is_refused(tmp_path, label):
    with pytest.raises(InputError, match=r"line 2 has (the label .*each series needs one|2 parts)"):
        read(written(tmp_path, "ts", f"@data\n1,2,3:{label}\n"))


NO_LABEL = {"columns": {"label": None}}
LINES = [",".join(map(str, values)) for values in VALUES]


def unlabelled(path, **said):
    """The same for recordings whose labels are not looked at."""
    source = open_source(None, str(path), Reading(is_labelled=False, is_for_use=True, **said))
    found = list(source.recordings)
    return [each.values.tolist() for each in found], [each.label for each in found], source.findings


def ts(tmp_path, rows, *head):
    return written(tmp_path, "ts", "\n".join(["@problemName made", *head, "@data", *rows]) + "\n")


@pytest.mark.parametrize(
    ("head", "end", "said"),
    [
        (["@classLabel true a b"], ":?", {}), (["@classLabel true a b"], ":", {}), (["@classLabel false"], "", {}),
        (["@targetLabel true"], ":0.5", {}), ([], ":?", {}), ([], "", NO_LABEL), (["@classLabel false"], "", NO_LABEL),
    ],
)  # fmt: skip
def test_the_head_of_ts_says_whether_there_are_labels_that_are_not_looked_at(tmp_path, head, end, said):
    path = ts(tmp_path, [f"{line}:{line}{end}" for line in LINES], *head)
    found, labels, _ = unlabelled(path, **said)
    assert found == [[[value, value] for value in row] for row in VALUES.tolist()]
    assert labels == [UNLABELLED] * 6
    if head or end:
        with pytest.raises(InputError):
            read(path)


def test_a_ts_file_that_says_nothing_of_labels_and_has_none_is_refused(tmp_path):
    allowed = "allowed where there are none: @classLabel false in the head of the file, or `columns.label`=null"
    for rows in (LINES, [f"{line}:{line}" for line in LINES]):
        with pytest.raises(InputError) as error:
            unlabelled(ts(tmp_path, rows))
        assert f"line 3 ends in no label; {allowed}" in str(error.value)
    with pytest.raises(InputError, match=r"line 2 says that there are labels; `columns.label`=null says"):
        unlabelled(ts(tmp_path, LINES, "@classLabel true a b"), **NO_LABEL)


@pytest.mark.parametrize("label", ["?", "", "7", "1.0000e+00", "walk"])
def test_the_first_cell_of_tsv_is_the_label_also_where_it_is_not_looked_at(tmp_path, label):
    path = written(tmp_path, "tsv", "\n".join(f"{label}\t" + line.replace(",", "\t") for line in LINES))
    assert unlabelled(path)[:2] == (columns(VALUES), [UNLABELLED] * 6)


def test_a_tsv_file_without_labels_is_said_to_have_none(tmp_path):
    values = VALUES + 0.25
    path = written(tmp_path, "tsv", "\n".join("\t".join(map(str, row)) for row in values))
    with pytest.raises(InputError) as error:
        unlabelled(path)
    assert str(error.value) == (
        f"{path}: line 1 begins with 0.25, where the label stands in this format; allowed: `columns.label`=null if "
        "there are no labels, 0 if that is one"
    )
    assert unlabelled(path, **NO_LABEL)[0] == columns(values)
    assert unlabelled(path, columns={"label": "0"})[0] == columns(values[:, 1:])


@pytest.mark.parametrize(
    ("more", "end", "said", "count"),
    [
        (["c {u,v}"], ",?", {}, 4), (["c {u,v}"], ",u", {}, 4), (["class numeric"], ",?", {}, 4), ([], "", {}, 4),
        (["att9 numeric"], ",5", {}, 5), (["class numeric"], ",5", NO_LABEL, 5),
    ],
)  # fmt: skip
def test_the_class_of_arff_may_be_missing_where_it_is_not_looked_at(tmp_path, more, end, said, count):
    path = arff(tmp_path, [*NUMERIC, *more], [line + end for line in LINES])
    found, labels, findings = unlabelled(path, **said)
    assert found == columns(np.pad(VALUES, ((0, 0), (0, count - 4)), constant_values=5))
    assert labels == [UNLABELLED] * 6
    has_none = not more or more == ["att9 numeric"] or bool(said)
    assert [line.partition(",")[0] for line in findings.warnings] == ["no attribute is the class"] * has_none


def test_relational_arff_without_a_class(tmp_path):
    head = ["rel relational", "t0 numeric", "t1 numeric"]
    text = "@relation r\n" + "\n".join(f"@attribute {line}" for line in head) + "\n@end rel\n@data\n'1,2\\n3,4'\n"
    assert unlabelled(written(tmp_path, "arff", text))[0] == [[[1, 3], [2, 4]]]
