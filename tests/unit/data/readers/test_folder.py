import zipfile

import pytest
from recording_files import csv_folder, make_recordings

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source, text
from nas_lightning.errors import InputError

MADE = make_recordings((12,) * 6)


def names(path):
    return collect(open_source(None, str(path))).names


def test_folders_below_a_class_and_other_files(tmp_path, caplog):
    csv_folder(tmp_path, MADE)
    deep = tmp_path / "classes" / "calm" / "day1"
    deep.mkdir()
    (deep / "more.CSV").write_text("1,2\n3,4\n")
    (tmp_path / "classes" / "calm" / "notes.docx").write_text("x")
    (tmp_path / "classes" / "calm" / "LICENSE").write_text("x")
    assert "calm/day1/more.CSV" in names(tmp_path)
    assert len(names(tmp_path)) == 7
    found = open_source(None, str(tmp_path)).findings
    assert any("that end in .docx are left out" in line and "notes.docx" in line for line in found.warnings)
    assert "LICENSE" not in "".join(found.warnings)
    assert not caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"mine/{name}",
        lambda name: name.replace("classes/", "mine/"),
        lambda name: name.replace("/", "\\"),
        lambda name: name.replace(".csv", " 12:30.csv"),
    ],
    ids=["one folder above", "other name", "backslashes", "a colon"],
)
def test_zip_files_as_programs_write_them(tmp_path, change):
    csv_folder(tmp_path / "in", MADE)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("*.csv")):
            archive.writestr(change(path.relative_to(tmp_path / "in").as_posix()), path.read_text())
        archive.writestr("README.md", "about")
        archive.writestr("__MACOSX/x", "")
    assert len(names(tmp_path / "data.zip")) == 6


def test_an_index_without_a_name_is_no_variable(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "classes" / label).mkdir(parents=True)
        (tmp_path / "classes" / label / "x.csv").write_text(",u,v\n0,1,2\n1,3,4\n")
    found = collect(open_source(None, str(tmp_path)), variables=1)
    assert found.values[:, 0].tolist() == [1, 3, 1, 3]


def test_links_within_the_folder_are_read(tmp_path):
    csv_folder(tmp_path, MADE)
    pool = tmp_path / "pool"
    pool.mkdir()
    (tmp_path / "classes" / "calm" / "r00.csv").rename(pool / "moved.csv")
    (tmp_path / "classes" / "calm" / "r00.csv").symlink_to("../../pool/moved.csv")
    (tmp_path / "classes" / "calm" / "day").symlink_to(pool, target_is_directory=True)
    assert names(tmp_path) == names(csv_folder(tmp_path / "plain", MADE))


def test_a_folder_that_is_a_link_itself_is_read(tmp_path):
    csv_folder(tmp_path / "data", MADE)
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    assert names(tmp_path / "link") == names(tmp_path / "data")


def test_many_small_files_are_read_as_they_are_one_by_one(tmp_path, monkeypatch):
    csv_folder(tmp_path, make_recordings((5,) * 40))
    (tmp_path / "classes" / "calm" / "r01.csv").write_text("ch0,ch1\n1,NA\n2,3\n")
    together = collect(open_source(None, str(tmp_path)), missing="interpolate")
    monkeypatch.setattr(text.Plains, "look_at", lambda *_: None)
    alone = collect(open_source(None, str(tmp_path)), missing="interpolate")
    assert together.values.tolist() == alone.values.tolist()
    assert (together.names, together.labels.tolist()) == (alone.names, alone.labels.tolist())


def test_a_small_file_that_vanishes_is_named(tmp_path):
    csv_folder(tmp_path, MADE)
    gone = tmp_path / "classes" / "calm" / "r02.csv"
    source = open_source(None, str(tmp_path))
    gone.unlink()
    with pytest.raises(InputError, match=r"calm/r02.csv cannot be read \(No such file or directory\)"):
        collect(source)
