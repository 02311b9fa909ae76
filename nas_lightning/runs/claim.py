"""A run folder belongs to one process, one configuration and one set of recordings, from its first file to its last."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nas_lightning.config.compose import PLACES, config_yaml, source_of
from nas_lightning.config.keys import flatten
from nas_lightning.config.records import Config
from nas_lightning.data.protocol import SearchData
from nas_lightning.errors import FolderError, InputError, UsedFolderError
from nas_lightning.files import read_json, write_json, write_text

LOCK = "run.lock"
"""Held by the process that works in a folder, and free as soon as that process is gone, however it ended."""

STARTED = "started.json"
"""The configuration and a digest of the data that a run began with; what goes on with it compares them."""

_NAMES = (
    *("common.run_name", "common.config_dirs", *PLACES, "data.path", "data.annotations"),
    *("run.backend", "run.workers", "run.max_memory_gb", "run.ray_address"),
)
"""Keys that say where something lies or is done, and change no result."""

_MOST_ATTEMPTS = 100


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made if it is missing, for this process alone; if nothing is left in it, nothing stays of it.

    Raises:
        UsedFolderError: if another process works in it.
        InputError: if it cannot be written into, or holds a link.
    """
    is_new, lock = not folder.exists(), FileLock(folder / LOCK)
    try:
        _lock(folder, lock)
    except Timeout:
        raise UsedFolderError(f"{folder}: another process works in it; choose another folder") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written into ({error.strerror or error})") from error
    try:
        _refuse_links(folder)
        yield
    finally:
        with suppress(OSError):  # the folder may have vanished
            (folder / LOCK).unlink()  # while it is held: who waits for it sees that it is gone, and looks again
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
        lock.release()


def _lock(folder: Path, lock: FileLock) -> None:
    """Make the folder and take its lock; whoever held it before may take the empty folder away in between."""
    for attempt in itertools.count(1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            return
        except (FileExistsError, FileNotFoundError):
            if attempt == _MOST_ATTEMPTS or (folder.exists() and not folder.is_dir()):
                raise


def _refuse_links(folder: Path) -> None:
    """A folder may come from a stranger, and what is written into it must not lie elsewhere."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise FolderError(f"{path}: is a link or no regular file; allowed in a run folder: files and folders")


def refuse_used(folder: Path, resume: bool) -> None:
    """Refuse to start a run where there is one.

    Raises:
        UsedFolderError: naming the folder.
    """
    if not resume and (folder / "config.yaml").is_file():
        raise UsedFolderError(
            f"{folder}: holds a run already; go on with it by resume={folder}, or choose another folder"
        )


def begin(folder: Path, config: Config, data: SearchData | None, init: str | None = None) -> None:
    """Write down what a run begins with; where one goes on, refuse what is not what it began with.

    Args:
        folder: of the run.
        config: of the run.
        data: after ``setup``; None where each of several runs has its own.
        init: a digest of the weights that it starts from; None if they are fresh.

    Raises:
        InputError: naming the key that was changed, or the data.
    """
    now = {
        "config": {key: value for key, value in flatten(asdict(config)) if key not in _NAMES},
        "data": None if data is None else data.digest(),
        **({} if init is None else {"init": init}),
    }
    if (folder / "config.yaml").exists() and (folder / STARTED).exists():
        _compare(folder, read_json(folder / STARTED), now, config)
    else:
        write_json(folder / STARTED, now)
    write_text(folder / "config.yaml", config_yaml(config))


def withdraw(folder: Path) -> None:
    """Take back what ``begin`` wrote, where nothing came of it."""
    for name in ("config.yaml", STARTED):
        (folder / name).unlink(missing_ok=True)


def _compare(folder: Path, then: dict[str, Any], now: dict[str, Any], config: Config) -> None:
    if not isinstance(before := then.get("config"), dict):
        raise InputError(f"{folder / STARTED}: has no config; it is damaged or another kind of file")
    again = "put it back, or start a run in another folder"
    keys = [*now["config"], *sorted(before.keys() - now["config"].keys())]
    for key in sorted(keys, key=lambda key: key.startswith("data.")):  # which follows from the other sections
        was, found = (values.get(key, "nothing") for values in (before, now["config"]))
        if was != found:
            said = f"{key} was {_shown(was)} when the run began and is {_shown(found)}"
            raise FolderError(f"{folder / 'config.yaml'}: {said}; {again}")
    if then.get("init") != now.get("init"):
        raise FolderError(f"init_from: {config.init_from} has other weights than when the run began; {again}")
    if then.get("data") != now["data"]:
        raise FolderError(
            f"{source_of(config)}: has other recordings, labels or splits than when the run began; {again}"
        )


def _shown(value: Any) -> str:
    return value if value == "nothing" else json.dumps(value)
