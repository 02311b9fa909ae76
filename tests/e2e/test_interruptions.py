"""What is around a run fails: its folder vanishes, its disk is full, it is told to end; it says so, and goes on."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

SMALL = (
    "experiment=quick", "callbacks=none", "training.nas_epochs=1", "training.training_epochs=40", "logger=none",
    "selection.candidates=1", "control.num_random=0",
)  # fmt: skip


@pytest.fixture
def program(tmp_path):
    """Start the program in an empty folder, in a process of its own."""
    started = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "nas_lightning", *arguments]
        started.append(subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def last_line(process):
    """What is said at the end, and that nothing else of an error is."""
    _, err = process.communicate()
    assert "Traceback" not in err, err
    return err.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seen", ["checkpoints/training/best.ckpt", "model.onnx", "model_int8.onnx"])
def test_sigterm_is_a_sentence_and_the_run_goes_on(program, tmp_path, seen):
    process = program(*SMALL, "hydra.run.dir=run")
    wait_for(tmp_path / "run" / seen, process)
    process.send_signal(signal.SIGTERM)
    said = last_line(process)
    if process.returncode == 0 or said == "interrupted; the run had ended":
        pytest.skip("the run had ended before it was told to")
    assert (process.returncode, said) == (1, f"interrupted; go on with: nas-lightning resume={tmp_path / 'run'}")
    assert not (tmp_path / "run" / "run.lock").exists()
    process = program("resume=run")
    process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "run" / "model_int8.onnx").is_file()


@pytest.mark.slow
def test_a_folder_that_vanishes_ends_the_run(program, tmp_path):
    process = program(*SMALL, "hydra.run.dir=run")
    wait_for(tmp_path / "run" / "annotations" / "instances_train_list.txt", process)
    (tmp_path / "run").rename(tmp_path / "gone")  # at once: what is removed file by file can be seen in part
    said = last_line(process)
    assert process.returncode == 1
    assert said.startswith(f"error: {tmp_path / 'run'}")
    assert said.endswith("nothing was done yet; start it again")
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.slow
def test_a_limit_of_the_size_of_files_is_a_sentence(program, tmp_path):
    """As a quota."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    process = program(*SMALL, "hydra.run.dir=run", preexec_fn=limit)
    said = last_line(process)
    folder = tmp_path / "run"
    assert process.returncode == 1
    assert said.startswith(f"error: {folder}/")
    assert said.endswith(f": File too large; go on with: nas-lightning resume={folder}")
    assert list(folder.rglob("*.tmp")) == []
    process = program("resume=run")
    process.communicate()
    assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_into_is_named(program, tmp_path):
    (tmp_path / "run").mkdir(mode=0o500)
    process = program(*SMALL, "hydra.run.dir=run")
    assert last_line(process) == f"error: {tmp_path / 'run'}: cannot be written into (Permission denied)"
    assert process.returncode == 2
