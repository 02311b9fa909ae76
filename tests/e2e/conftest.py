"""The command line, run in this process."""

import sys

import pytest
from hydra.core.global_hydra import GlobalHydra
from programs import launch

from nas_lightning.__main__ import main


@pytest.fixture(scope="module")
def once():
    """A value by its name, made when a test of the file asks for it first."""
    known = {}

    def get(name, make):
        if name not in known:
            known[name] = make()
        return known[name]

    return get


@pytest.fixture
def cli(monkeypatch, tmp_path, capsys):
    """Call the program with arguments from an empty folder; returns exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nas-lightning", *map(str, arguments)])
        GlobalHydra.instance().clear()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        finally:
            monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def program(tmp_path):
    """Start the program in an empty folder, in a process of its own: Ray and submitit warn in ways of their own."""
    started = []

    def start(*arguments, folder=tmp_path, environment=None):
        started.append(launch(*arguments, folder=folder, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
