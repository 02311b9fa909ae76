"""One folder with all files: the class stands in their names, or in a table beside them."""

import json
import os
import zipfile

import pytest
from recording_files import places_of as table
from recording_files import read_with as read

from nas_lightning.errors import InputError

NAMES = [f"{label}.{number:02d}" for label in ("idle", "shake", "wave") for number in range(4)]
LABELS = {name: ("calm", "wild")[number % 2] for number, name in enumerate(NAMES)}


def flat(folder, names=NAMES, ending="csv"):
    """Each file holds a number of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        path = folder / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n" + "".join(f"{number},{row}\n" for row in range(4)))
    return folder


def by_hand(names=NAMES, ending="csv"):
    return {f"{name}.{ending}": (LABELS[name], None, None) for name in names}


@pytest.mark.parametrize(
    ("names", "found", "pattern"),
    [
        (NAMES, "begin with idle (4), shake (4), wave (4)", "^[^._-]+"),
        ([name.replace(".", "_") for name in NAMES], "begin with idle (4), shake (4), wave (4)", "^[^._-]+"),
        ([name.replace(".", "-") for name in NAMES], "begin with idle (4), shake (4), wave (4)", "^[^._-]+"),
        ([name.replace(".", "") for name in NAMES], "begin with idle (4), shake (4), wave (4)", "^[A-Za-z]+"),
        (["_".join(name.split(".")[::-1]) for name in NAMES], "begin with 00 (3), 01 (3), 02 (3), 03 (3)", "^[^._-]+"),
        ([f"r{n:02d}-{name.split('.')[0]}" for n, name in enumerate(NAMES)], "end with idle (4), shake (4)", None),
    ],
)
def test_the_evident_pattern_is_proposed_and_works(tmp_path, names, found, pattern):
    flat(tmp_path, names)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    message = str(error.value)
    assert "has 12 files in no class folder, such as" in message
    assert found in message
    proposed = message.split("`label_pattern`='")[1].split("' takes that as the class")[0]
    assert pattern in (proposed, None)
    recordings, findings = read(tmp_path, label_pattern=proposed)
    assert len(recordings.label_names) == found.count("(") + ("shake" in found and "wave" not in found)
    assert any("the classes are the words of the names" in line for line in findings.decisions)


def test_names_without_anything_in_common(tmp_path):
    with pytest.raises(InputError, match=r"`label_pattern`=PATTERN takes the class from their names; `lab"):
        read(flat(tmp_path, [f"x{chr(97 + n)}" for n in range(8)]))


def test_the_class_is_the_first_group_of_the_pattern(tmp_path):
    found, _ = read(flat(tmp_path), label_pattern=r"(idle|wave|shake)\.0")
    assert {name: label for name, (label, _, _) in table(found).items()} == {
        f"{name}.csv": name.split(".")[0] for name in NAMES
    }
    firsts = {name: float(found.values[start, 0]) for name, start in zip(found.names, found.starts, strict=False)}
    assert firsts == {f"{name}.csv": float(number) for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(", "is no regular expression"), ("walk", "finds nothing in the name 'idle.00.csv'"), ("x?", "finds nothing")],
)
def test_patterns_that_cannot_be(tmp_path, pattern, text):
    with pytest.raises(InputError) as error:
        read(flat(tmp_path), label_pattern=pattern)
    assert f"`label_pattern`: {pattern!r} {text}" in str(error.value)


def test_splits_with_the_class_in_the_names(tmp_path):
    flat(tmp_path / "train", NAMES)
    flat(tmp_path / "test", NAMES)
    with pytest.raises(InputError, match=r"`label_pattern`=PATTERN takes the class from their names"):
        read(tmp_path)
    found, _ = read(tmp_path, label_pattern=r"([^/._-]+)[^/]*$")
    assert table(found) == {
        f"{split}/{name}.csv": (name.split(".")[0], None, split) for split in ("test", "train") for name in NAMES
    }


def test_persons_with_the_class_in_the_names(tmp_path):
    for person in ("p1", "p2"):
        flat(tmp_path / person, NAMES)
    found, findings = read(tmp_path, label_pattern="idle|shake|wave")
    assert found.groups is None
    assert "folders say nothing of the recordings in them (in p1, p2) [`levels`=[group]]" in findings.warnings[0]
    found, findings = read(tmp_path, label_pattern="idle|shake|wave", levels=["group"])
    assert {(name[:2], group) for name, (_, group, _) in table(found).items()} == {("p1", "p1"), ("p2", "p2")}
    assert not findings.warnings


def lines(names, sep=",", head=("file", "label"), ending=".csv", end="\n"):
    rows = [head] if head else []
    rows += [(f"{name}{ending}", LABELS[name]) for name in names]
    return end.join(sep.join(row) for row in rows) + end


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (lines(NAMES), "labels.csv"),
        (lines(NAMES, head=("Filename", "Class")), "labels.csv"),
        (lines(NAMES, head=("path", "category")), "Labels.CSV"),
        (lines(NAMES, head=("which one", "what")), "labels.csv"),
        (lines(NAMES, head=None), "labels.csv"),
        (lines(NAMES, head=None, ending=""), "labels.csv"),
        (lines(NAMES, sep=";"), "labels.csv"),
        (lines(NAMES, sep=" ; "), "labels.csv"),
        (lines(NAMES, sep="\t"), "labels.tsv"),
        (lines(NAMES, sep="\t"), "labels.csv"),
        (lines(NAMES, sep=" "), "labels.txt"),
        (lines(NAMES, ending=""), "labels.csv"),
        (lines(NAMES, ending=".wav"), "labels.csv"),
        (lines(NAMES, end="\r\n"), "labels.csv"),
        (lines(reversed(NAMES)), "labels.csv"),
        ("\ufeff" + lines(NAMES), "labels.csv"),
        ("sep=;\n" + lines(NAMES, sep=";"), "labels.csv"),
        ("# made by hand\n" + lines(NAMES), "labels.csv"),
        ("file,label\n" + "".join(f'"./{name}.csv", {LABELS[name]} \n\n' for name in NAMES), "labels.csv"),
        ("file,label\n" + "".join(f"C:\\data\\{name}.csv,{LABELS[name]}\n" for name in NAMES), "labels.csv"),
        ("id,label,file\n" + "".join(f"{n},{LABELS[name]},{name}\n" for n, name in enumerate(NAMES)), "labels.csv"),
        (",file,label\n" + "".join(f"{n},{name},{LABELS[name]}\n" for n, name in enumerate(NAMES)), "labels.csv"),
        ("label,who\n" + "".join(f"{LABELS[name]},{name}\n" for name in NAMES), "labels.csv"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_as_programs_write_them(tmp_path, content, name, encoding):
    (flat(tmp_path) / name).write_bytes(content.encode(encoding))
    found, findings = read(tmp_path)
    assert table(found) == by_hand()
    assert any("the classes are the words of the table calm (6), wild (6)" in line for line in findings.decisions)


@pytest.mark.parametrize("ending", ["txt", "tsv"])
def test_tables_beside_files_of_other_endings(tmp_path, ending):
    (flat(tmp_path, ending=ending) / f"labels.{ending}").write_text(lines(NAMES, sep="\t", ending=f".{ending}"))
    assert table(read(tmp_path)[0]) == by_hand(ending=ending)


def test_groups_and_splits_of_a_table(tmp_path):
    rows = [f"{name},{LABELS[name]},p{n % 3},{('training', 'Test', 'val')[n // 4]}" for n, name in enumerate(NAMES)]
    (flat(tmp_path) / "labels.csv").write_text("\n".join(["file,label,group,split", *rows]))
    expected = {
        f"{name}.csv": (LABELS[name], f"p{n % 3}", ("train", "test", "val")[n // 4]) for n, name in enumerate(NAMES)
    }
    assert table(read(tmp_path)[0]) == expected


def test_columns_with_other_names(tmp_path):
    rows = [f"{name},x,{LABELS[name]},p" for name in NAMES]
    (flat(tmp_path) / "labels.csv").write_text("\n".join(["clip,note,Activity,person", *rows]))
    with pytest.raises(
        InputError, match=r"labels.csv: has no column of files; found clip, note, Activity, person; `columns"
    ):
        read(tmp_path)
    columns = {"recording": "clip", "label": "activity", "group": "person"}
    assert {label for label, group, _ in table(read(tmp_path, columns=columns)[0]).values() if group == "p"} == {
        "calm",
        "wild",
    }
    other = columns | {"group": "owner"}
    assert {group for _, group, _ in table(read(tmp_path, columns=other, may_lack=("group",))[0]).values()} == {None}
    with pytest.raises(InputError, match=r"has no column 'owner', which `columns.group` names"):
        read(tmp_path, columns=other)
    with pytest.raises(InputError, match=r"has no column 'sound', which `columns.recording` names"):
        read(tmp_path, columns={"recording": "sound"})


def test_null_says_that_no_column_is_the_group(tmp_path):
    rows = [f"{name},{LABELS[name]},p" for name in NAMES]
    (flat(tmp_path) / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    for said, groups in (({}, {"p"}), ({"group": None}, {None})):
        assert {group for _, group, _ in table(read(tmp_path, columns=said)[0]).values()} == groups


@pytest.mark.parametrize("where", ["audio", "."])
def test_files_in_a_folder_beside_the_table(tmp_path, where):
    flat(tmp_path / where)
    (tmp_path / "labels.csv").write_text(lines(NAMES))
    found, _ = read(tmp_path)
    inside = "" if where == "." else "audio/"
    assert table(found) == {inside + name: row for name, row in by_hand().items()}


def test_a_table_in_each_folder_of_splits(tmp_path):
    for split in ("train", "test"):
        (flat(tmp_path / split) / "labels.csv").write_text(lines(NAMES))
    found, _ = read(tmp_path)
    assert table(found) == {
        f"{split}/{name}": (label, None, split)
        for split in ("test", "train")
        for name, (label, _, _) in by_hand().items()
    }


def edge_impulse(names, **change):
    """What the studio exports: ``info.labels`` beside ``training`` and ``testing``."""
    files = [
        {
            "path": f"{'testing' if n % 3 == 0 else 'training'}/{name}.csv",
            "name": name,
            "category": "testing" if n % 3 == 0 else "training",
            "label": {"type": "label", "label": LABELS[name]},
        }
        for n, name in enumerate(names)
    ]
    return json.dumps({"version": 1, "files": [file | change for file in files]})


def test_an_export_with_info_labels(tmp_path):
    for n, name in enumerate(NAMES):
        flat(tmp_path / ("testing" if n % 3 == 0 else "training"), [name])
    (tmp_path / "info.labels").write_text(edge_impulse(NAMES))
    split = {name: ("testing", "test") if n % 3 == 0 else ("training", "train") for n, name in enumerate(NAMES)}
    assert table(read(tmp_path)[0]) == {
        f"{split[name][0]}/{name}.csv": (LABELS[name], None, split[name][1]) for name in NAMES
    }


def test_info_labels_beside_the_files(tmp_path):
    (flat(tmp_path) / "info.labels").write_text(edge_impulse(NAMES, category="split"))
    assert table(read(tmp_path)[0]) == by_hand()
    (tmp_path / "info.labels").write_text(edge_impulse(NAMES))
    assert {split for _, _, split in table(read(tmp_path)[0]).values()} == {"train", "test"}


def test_unlabeled_recordings_are_left_out(tmp_path):
    content = json.loads(edge_impulse(NAMES))
    content["files"][0]["label"] = {"type": "unlabeled"}
    (flat(tmp_path) / "info.labels").write_text(json.dumps(content))
    found, findings = read(tmp_path)
    assert "idle.00.csv" not in found.names
    assert "calls unlabeled is left out (in testing/idle.00.csv)" in findings.warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("labels.csv", lines(NAMES[:-1]) + "gone.csv,calm\n", "line 13 names 'gone.csv', which is not there"),
        ("labels.csv", lines([*NAMES, NAMES[2]]), "line 4 and line 14 both name idle.02.csv; allowed"),
        ("labels.csv", lines(NAMES) + "./idle.00,wild\n", "line 2 and line 14 both name idle.00.csv"),
        ("labels.csv", "file,label\nidle.01.csv, \n", "line 2 has no label for idle.01.csv"),
        ("labels.csv", "file,label\nx.csv,a\n", "none of the files such as 'x.csv' in line 2"),
        ("labels.csv", "file,label\n", "labels.csv: names none of the files; allowed"),
        ("labels.csv", "\n \n", "labels.csv: is empty; allowed: a table of files and their labels"),
        ("labels.csv", "file,label\nidle.00\n", "labels.csv: line 2 has 1 cells, and 2 are needed"),
        ("labels.csv", "file,label,split\nidle.00,a,later\n", "line 2 has the split 'later'; allowed: train, training"),
        ("labels.csv", "idle.00.csv,calm,1,2\n", "has no row that names its 4 columns"),
        ("labels.csv", "a\0b", "labels.csv: is not text"),
        ("labels.csv", "{", "labels.csv: cannot be read as JSON"),
        ("info.labels", "file,label", "info.labels: cannot be read as JSON"),
        ("info.labels", "[" * 100_000, "info.labels: cannot be read as JSON"),
        ("info.labels", "[]", 'info.labels: has no list "files"'),
        ("info.labels", '{"files": [{"path": "idle.00.csv", "label": {"type": "multi"}}]}', "entry 1 has no path"),
        ("info.labels", '{"files": [1]}', "entry 1 has no path, or no one label"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be(tmp_path, name, content, text):
    (flat(tmp_path) / name).write_text(content)
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_that_can_be_two_files(tmp_path):
    for person in ("p1", "p2"):
        flat(tmp_path / "data" / person, NAMES[:2])
    (tmp_path / "data" / "t.csv").write_text("file,label\nidle.00.csv,calm\n")
    with pytest.raises(InputError, match=r"line 2: 'idle.00.csv' can be p1/idle.00.csv or p2/idle.00.csv"):
        read(tmp_path / "data", labels="t.csv")


def test_files_without_a_row_are_left_out_and_that_is_said(tmp_path):
    (flat(tmp_path) / "labels.csv").write_text(lines(NAMES[2:]))
    found, findings = read(tmp_path)
    assert table(found) == by_hand(NAMES[2:])
    assert "that the table of labels does not name is left out (2 times, first in idle.00.csv)" in findings.warnings[0]


def test_class_folders_beside_a_table_are_asked_about(tmp_path):
    for label in ("a", "b"):
        flat(tmp_path / label, NAMES[:4])
    rows = [f"{label}/{name},{LABELS[name]}" for label in ("a", "b") for name in NAMES[:4]]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    with pytest.raises(InputError, match=r"has the folders a, b and the table labels.csv; `levels`=\[class\] takes"):
        read(tmp_path)
    assert read(tmp_path, levels=["class"])[0].label_names == ("a", "b")
    assert read(tmp_path, labels="labels.csv")[0].label_names == ("calm", "wild")
    found, _ = read(tmp_path, levels=["group"])
    assert table(found)["a/idle.00.csv"] == ("calm", "a", None)


def test_a_table_beside_the_folder_named_classes_is_said(tmp_path):
    for label in ("a", "b"):
        flat(tmp_path / "classes" / label, NAMES[:4])
    (tmp_path / "labels.csv").write_text(lines(NAMES))
    found, findings = read(tmp_path)
    assert found.label_names == ("a", "b")
    assert "a table of labels beside the folder classes is not looked at" in findings.decisions[0]


def test_two_tables(tmp_path):
    (flat(tmp_path) / "labels.csv").write_text(lines(NAMES))
    (tmp_path / "info.labels").write_text(edge_impulse(NAMES, category="split"))
    with pytest.raises(InputError, match=r"has the tables of labels info.labels, labels.csv; `labels`=info.labels"):
        read(tmp_path)
    assert table(read(tmp_path, labels="labels.csv")[0]) == by_hand()


def test_where_a_named_table_may_lie(tmp_path):
    flat(tmp_path / "data")
    (tmp_path / "outside.csv").write_text(lines(NAMES))
    (tmp_path / "data" / "mine.csv").write_text(lines(NAMES))
    assert table(read(tmp_path / "data", labels=str(tmp_path / "outside.csv"))[0]) == by_hand()
    found, findings = read(tmp_path / "data", labels="mine.csv")
    assert table(found) == by_hand()
    assert not findings.warnings
    for name, text in [
        ("../outside.csv", "allowed: a file in"),
        ("no.csv", "there is no no.csv"),
        ("/no", "there is no"),
    ]:
        with pytest.raises(InputError, match=text):
            read(tmp_path / "data", labels=name)
    with pytest.raises(InputError, match="/dev/zero is no regular file but a device"):
        read(tmp_path / "data", labels="/dev/zero")
    (tmp_path / "data" / "link.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(InputError, match=r"link.csv is a link that leads out of the folder"):
        read(tmp_path / "data", labels="link.csv")
    with pytest.raises(InputError, match="allowed: one of them says the class"):
        read(tmp_path / "data", labels="mine.csv", label_pattern="x")


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_table_that_must_not_be_opened(tmp_path, kind):
    flat(tmp_path / "data")
    if kind == "pipe":
        os.mkfifo(tmp_path / "data" / "labels.csv")
    else:
        (tmp_path / "outside.csv").write_text(lines(NAMES))
        (tmp_path / "data" / "labels.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(InputError, match=r"labels.csv is (no regular file but a pipe|a link that leads out)"):
        read(tmp_path / "data")


@pytest.mark.parametrize("top", ["", "mine/"])
def test_a_zip_file_of_a_flat_folder(tmp_path, top):
    flat(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted((tmp_path / "in").iterdir()):
            archive.write(path, top + path.name)
    found, _ = read(tmp_path / "data.zip", label_pattern="^[a-z]+")
    assert {(name, label) for name, (label, _, _) in table(found).items()} == {
        (f"{name}.csv", name.split(".")[0]) for name in NAMES
    }
    with zipfile.ZipFile(tmp_path / "data.zip", "a") as archive:
        archive.writestr(f"{top}labels.csv", lines(NAMES))
    assert table(read(tmp_path / "data.zip")[0]) == by_hand()


def test_pickles_and_links_in_a_flat_folder_are_refused(tmp_path):
    (flat(tmp_path) / "x.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(InputError, match=r"x.pkl is a pickle, which could run code"):
        read(tmp_path, label_pattern="^[a-z]+")


@pytest.mark.parametrize("pattern", ["^[^.]+", r"^([a-z]+)\.", "^[A-Za-z]+"])
@pytest.mark.parametrize("folders", [("training", "testing"), ("anna", "ben")])
def test_a_pattern_is_looked_for_in_the_name_of_the_file_itself(tmp_path, pattern, folders):
    for folder in folders:
        flat(tmp_path / folder)
    found, _ = read(tmp_path, label_pattern=pattern)
    assert {name: row[0] for name, row in table(found).items()} == {
        f"{folder}/{name}.csv": name.split(".")[0] for folder in folders for name in NAMES
    }


@pytest.mark.parametrize("pattern", ["^[a-z]+/", "anna|ben"])
def test_a_pattern_is_looked_for_in_folders_where_it_names_them(tmp_path, pattern):
    for folder in ("anna", "ben"):
        flat(tmp_path / folder)
    found, _ = read(tmp_path, label_pattern=pattern)
    assert {row[0].strip("/") for row in table(found).values()} == {"anna", "ben"}


def test_columns_of_a_table_that_are_not_looked_at_are_said(tmp_path):
    rows = [f"{name}.csv,{LABELS[name]},S{number % 3}" for number, name in enumerate(NAMES)]
    (flat(tmp_path) / "labels.csv").write_text("\n".join(["file,label,subject", *rows]))
    found, findings = read(tmp_path)
    assert table(found) == by_hand()
    assert any("other columns of the table of labels are not looked at" in line for line in findings.decisions)
    assert any("subject) [`columns.group`]" in line for line in findings.decisions)
    found, findings = read(tmp_path, columns={"group": "subject"})
    assert {row[1] for row in table(found).values()} == {"S0", "S1", "S2"}
    assert not any("not looked at" in line for line in findings.decisions)


def test_a_name_with_many_folders_is_no_work(tmp_path):
    flat(tmp_path)
    rows = "".join(f"{name},{label}\n" for name, label in LABELS.items())
    (tmp_path / "labels.csv").write_text("file,label\n" + "a/" * 60_000 + "x,calm\n" + rows)
    with pytest.raises(InputError, match=r"line 2 names 'a/a/.*which is not there"):
        read(tmp_path)


def test_a_list_is_no_label(tmp_path):
    flat(tmp_path)
    entry = {"path": f"{NAMES[0]}.csv", "label": {"type": "label", "label": ["calm"]}}
    (tmp_path / "info.labels").write_text(json.dumps({"files": [entry]}))
    with pytest.raises(InputError, match="entry 1 has no path, or no one label"):
        read(tmp_path)


def test_what_is_said_of_a_name_cannot_command_a_terminal(tmp_path):
    flat(tmp_path)
    rows = "".join(f"{name},{label}\x1b[2J\n" for name, label in LABELS.items())
    (tmp_path / "labels.csv").write_text("file,label\n" + rows)
    said = " ".join(read(tmp_path)[1].decisions)
    assert "calm?[2J" in said
    assert "\x1b" not in said
