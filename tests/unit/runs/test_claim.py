"""One folder, one run: real processes, real locks."""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from nas_lightning.config.records import with_values
from nas_lightning.errors import InputError, UsedFolderError
from nas_lightning.files import read_json, write_json, write_text
from nas_lightning.runs.build import build_data
from nas_lightning.runs.claim import LOCK, STARTED, begin, claimed, refuse_used, withdraw

HOLDER = textwrap.dedent("""
    import sys, pathlib
    from nas_lightning.runs.claim import claimed
    with claimed(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
""")


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_dies_with_its_process(tmp_path, holder):
    refused = pytest.raises(UsedFolderError, match="run: another process works in it; choose another folder")
    with refused, claimed(tmp_path / "run"):
        raise AssertionError("two at once")
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with claimed(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK).exists()


def test_nothing_stays_of_a_folder_in_which_nothing_was_done(tmp_path):
    with claimed(tmp_path / "a" / "run"):
        pass
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "mine").mkdir()
    with claimed(tmp_path / "mine"):
        pass
    assert list((tmp_path / "mine").iterdir()) == []
    with claimed(tmp_path / "run"):
        write_text(tmp_path / "run" / "config.yaml", "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_of_many_that_start_together_one_works_at_a_time(tmp_path):
    """Whoever gets in finds nobody; the others are refused, also while the lock is taken away behind the first."""
    inside, refused = [], []

    def attempt(number):
        try:
            with claimed(tmp_path / "run"):
                inside.append(number)
                assert len(inside) == 1
                inside.remove(number)
        except UsedFolderError:
            refused.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(attempt, range(400)))
    assert len(refused) < 400


def test_a_folder_that_vanishes_while_it_is_claimed_is_made_again(tmp_path, monkeypatch):
    """The holder of before takes the empty folder away: while it is looked for, or before the lock lies in it."""
    calls = []

    def mkdir(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 1:
            raise FileExistsError(17, "File exists", str(self))
        made(self, *args, **kwargs)
        if len(calls) == 2:
            self.rmdir()

    def acquire(self, *args, **kwargs):
        if not (tmp_path / "run").exists():
            raise FileNotFoundError(2, "No such file or directory", self.lock_file)
        return taken(self, *args, **kwargs)

    made, taken = Path.mkdir, FileLock.acquire
    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(FileLock, "acquire", acquire)
    with claimed(tmp_path / "run"):
        assert (tmp_path / "run" / "run.lock").exists()
    assert len(calls) >= 3


def test_a_link_to_nowhere_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="run: cannot be written into"), claimed(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=f"{place}: cannot be written into"), claimed(place):
            pass


def test_a_used_folder_is_refused_unless_the_run_goes_on(tmp_path):
    refuse_used(tmp_path, resume=False)
    (tmp_path / "config.yaml").touch()
    refuse_used(tmp_path, resume=True)
    with pytest.raises(UsedFolderError, match=r"holds a run already; go on with it by resume="):
        refuse_used(tmp_path, resume=False)


@pytest.fixture
def with_data(short_config, write_npz):
    def make(*overrides, **changes):
        config = short_config(f"dataset.input_data_path={write_npz(**changes)}", *overrides)
        data = build_data(config)
        data.setup()
        return config, data

    return make


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "seed=5",
            r"config.yaml: seed was 0 when the run began and is 5; put it back, or start a run in another folder",
        ),
        ("training.training_epochs=3", "training.training_epochs was 2 when the run began and is 3"),
        ("training.nas_layers=5", "training.nas_layers was 3 when the run began and is 5"),
        ("+augmentation.Reverse.prob=0.5", "augmentation.Reverse.prob was nothing when the run began and is 0.5"),
    ],
)
def test_a_run_goes_on_as_it_began(tmp_path, with_data, override, text):
    begin(tmp_path, *with_data())
    begin(tmp_path, *with_data())
    with pytest.raises(InputError, match=text):
        begin(tmp_path, *with_data(override))


def test_what_began_without_a_configuration_can_begin_otherwise(tmp_path, with_data):
    begin(tmp_path, *with_data())
    (tmp_path / "config.yaml").unlink()
    begin(tmp_path, *with_data("seed=5"))
    assert read_json(tmp_path / STARTED)["config"]["seed"] == 5
    withdraw(tmp_path)
    assert not (tmp_path / STARTED).exists()
    assert not (tmp_path / "config.yaml").exists()


def test_other_data_are_noticed_and_moved_ones_are_not(tmp_path, arrays, with_data):
    run = tmp_path / "run"
    run.mkdir()
    config, data = with_data()
    begin(run, config, data)
    config = with_values(config, {"dataset.input_data_path": "/elsewhere/data.npz"})
    begin(run, config, data)
    order = np.random.default_rng(0).permutation(40)
    moved = np.array(arrays["X_train"])
    moved[3, 2, 1] += 1e-3
    others = [
        {"X_train": arrays["X_train"][order], "y_train": arrays["y_train"][order]},
        {"X_train": moved},
        {"y_test": np.roll(arrays["y_test"], 1)},
        {"class_names": np.array(list("abcd"))},
    ]
    for changes in others:
        with pytest.raises(InputError, match=r"data.npz: has other recordings, labels or splits than when"):
            begin(run, *with_data(**changes))
    with pytest.raises(InputError, match=r"dataset.split_factor was"):
        begin(run, *with_data("dataset.split_factor=[0.5,0.3,0.2]"))


def test_the_digest_follows_from_the_splits_too(with_data):
    digests = {with_data(*overrides)[1].digest() for overrides in ([], ["seed=1"], [])}
    assert len(digests) == 2


def test_a_damaged_memory_is_named(tmp_path, with_data):
    begin(tmp_path, *with_data())
    for content in ("", "{", "[]", "{}", '{"config": 3}'):
        (tmp_path / STARTED).write_text(content)
        with pytest.raises(InputError, match=r"started.json: (cannot be read; it is damaged|has no config)"):
            begin(tmp_path, *with_data())
    write_json(tmp_path / STARTED, {"config": {"seed": 0}})
    with pytest.raises(InputError, match="was nothing when the run began"):
        begin(tmp_path, *with_data())
