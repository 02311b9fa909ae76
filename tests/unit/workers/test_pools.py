"""Pools: the same results wherever a job is done, and what happens to one whose process is lost."""

import logging
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import worker_jobs as jobs

from nas_lightning import progress
from nas_lightning.errors import BudgetError, StoppedError
from nas_lightning.workers import parcel
from nas_lightning.workers.base import Here
from nas_lightning.workers.parcel import UnshareableError
from nas_lightning.workers.processes import Processes
from nas_lightning.workers.server import cores


@pytest.fixture(scope="module")
def shared():
    tensor = torch.arange(100_000, dtype=torch.float32)
    return {"tensor": tensor, "again": tensor, "array": np.ones(50_000), "small": torch.ones(3)}


@pytest.fixture(scope="module")
def processes(shared):
    pool = Processes(shared, jobs.SETTING, 2)
    yield pool
    pool.close()


@pytest.fixture(params=["here", "processes"])
def pool(request, shared):
    return Here(shared) if request.param == "here" else request.getfixturevalue("processes")


def test_results_come_in_the_order_of_the_jobs_each_with_one_thread(pool):
    found = list(pool.map(jobs.several(jobs.place, range(6))))
    assert [number for number, _, _ in found] == list(range(6))
    assert {threads for _, _, threads in found} == {1}
    workers = {pid for _, pid, _ in found}
    assert os.getpid() not in workers if pool.is_parallel else workers == {os.getpid()}


def test_a_job_that_runs_here_leaves_the_number_of_threads_as_it_was(shared):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert Here(shared).submit(partial(jobs.place, number=0)).result()[2] == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_a_job_says_is_said_where_it_is_waited_for(pool, caplog):
    with caplog.at_level(logging.INFO, "nas_lightning"):
        for _ in pool.map([partial(jobs.say, text=text) for text in ("one", "two")]):
            pass
    assert [record.getMessage() for record in caplog.records] == ["one and one", "two and two"]


def test_an_error_comes_as_it_was_raised(pool):
    with pytest.raises(BudgetError, match="budget: needs params 3; params binds") as found:
        pool.submit(jobs.exceed).result()
    assert (found.value.limits, found.value.binding, found.value.nearest) == ({"params": 3}, ("params",), {"params": 4})
    with pytest.raises(ZeroDivisionError, match="by nothing") as other:
        pool.submit(jobs.fail).result()
    assert not pool.is_parallel or "in fail" in other.value.__notes__[0]


def test_large_arrays_are_mapped_once_and_a_worker_that_writes_into_one_changes_nothing(processes, shared):
    total = float(shared["tensor"].sum())
    for _ in range(3):
        assert processes.submit(jobs.look).result() == (["0.npy", "0.npy", "1.npy"], total)
    assert shared["array"].sum() == 50_000
    assert {path.name for path in processes.folder.iterdir()} == {"0.npy", "1.npy", "payload"}
    assert np.load(processes.folder / "1.npy").sum() == 50_000


def test_a_job_whose_process_was_killed_is_done_again_and_so_are_those_beside_it(processes, tmp_path):
    work = [partial(jobs.die, mark=tmp_path / "a", times=1), *jobs.several(jobs.place, range(5))]
    found = list(processes.map(work))
    assert found[0] == 1
    assert [number for number, _, _ in found[1:]] == list(range(5))


def test_a_job_that_kills_every_process_ends_the_run_in_a_sentence(shared, tmp_path):
    pool = Processes(shared, jobs.SETTING, 1)
    with pytest.raises(StoppedError, match=r"a worker was killed 3 times, perhaps because the memory was full; run\."):
        pool.submit(partial(jobs.die, mark=tmp_path / "a", times=9)).result()
    pool.close()
    assert (tmp_path / "a").read_text() == "xxx"


def test_a_job_that_cannot_be_sent_is_done_here_and_said(processes, caplog):
    assert processes.submit(lambda shared: os.getpid()).result() == os.getpid()
    assert "workers: a job is done here, because it cannot be sent (" in caplog.text


def test_what_cannot_be_sent_is_named():
    own = type("Own", (), {"__module__": "__main__"})
    with pytest.raises(UnshareableError, match="Own is defined in the program itself, and not in a module"):
        parcel.pack(own)
    with pytest.raises(UnshareableError, match="lock"):
        parcel.pack(threading.Lock())


def test_closing_ends_a_job_that_still_runs_and_leaves_no_files(shared, tmp_path):
    pool = Processes(shared, jobs.SETTING, 1)
    pool.submit(partial(jobs.wait_for, path=tmp_path / "begun"))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    folder = pool.folder
    pool.close()
    assert not folder.exists()


def test_workers_end_with_a_parent_that_is_killed_and_tidy_up_after_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from functools import partial\nimport numpy, worker_jobs as jobs\n"
        "from nas_lightning.workers.processes import Processes\n"
        "pool = Processes(numpy.ones(50_000), jobs.SETTING, 1)\n"
        f"pool.submit(partial(jobs.wait_for, path={str(tmp_path / 'begun')!r}))\n"
        "print(pool.folder, flush=True)\ninput()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, script], env=environment, **pipes) as parent:
        folder = Path(parent.stdout.readline().strip())
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        worker_pid = int((tmp_path / "begun").read_text())
        assert folder.exists()
        parent.kill()
    while Path(f"/proc/{worker_pid}").exists():
        time.sleep(0.01)
    assert not folder.exists()


def test_bars_of_a_worker_are_shown_by_its_parent(shared):
    shown = []

    class Bar(progress.Bar):
        def __init__(self, *of_bar):
            shown.append(of_bar)
            self.count = 0

        def update(self, count=1):
            self.count += count

        def note(self, **figures):
            self.figures = figures

        def close(self):
            shown.append((self.count, self.figures))

    pool = Processes(shared, jobs.SETTING, 1)
    with progress.using(Bar):
        pool.submit(partial(jobs.count_to, total=1000)).result()
        pool.close()
    assert shown == [("counting", 1000, "number", 0), (1000, {"last": "1000"})]


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    most = cores()
    assert 1 <= most <= os.cpu_count()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", str(most + 5))
    assert cores() == most
