"""A Ray cluster, or a Ray of its own on this machine (the extra ``ray``)."""

import os
import socket
import uuid
from contextlib import suppress
from typing import Any

from nas_lightning.errors import InputError, StoppedError, brief
from nas_lightning.workers import parcel
from nas_lightning.workers.bars import Shown, sent_bars
from nas_lightning.workers.base import Parallel
from nas_lightning.workers.server import serve
from nas_lightning.workers.worker import Setting, outcome_of, take

_ATTEMPTS = 3
_known: dict[str, Any] = {}


def connect(address: str, key: str, asked: str, num_cpus: int | None = None) -> Any:
    """Ray, connected.

    Args:
        address: ``local``, ``auto`` or another one that ``ray.init`` takes.
        key: that gave it, for the messages.
        asked: the setting that asks for Ray, for the messages.
        num_cpus: of a Ray of its own; None for all.

    Raises:
        InputError: if it is not installed or does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use over the network unless told not to
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns of this, its coming default
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 is its default: nothing would be done beside other work
    try:
        import ray
    except ImportError as error:
        raise InputError(f"{asked}: Ray is not installed; pip install 'nas-lightning[ray]'") from error
    _knock(address, key)
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    settings |= {"include_dashboard": False, "num_cpus": num_cpus} if address == "local" else {}
    try:
        ray.init(**settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        advice = (
            "" if address == "local" else "; a cluster that asks for a token needs RAY_AUTH_MODE=token here as well"
        )
        raise InputError(f"{key}: Ray does not start with {address} ({brief(error)}){advice}") from error
    return ray


def _knock(address: str, key: str) -> None:
    """Refuse a ``HOST:PORT`` where nobody answers: Ray itself tries for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{key}: nobody answers at {address} ({error})") from error


class Cluster(Parallel):
    """Does jobs as tasks on Ray; one whose process or machine was lost is done again.

    What jobs share lies in Ray's store, from which all workers of a machine map it.

    Args:
        shared: what the jobs get.
        setting: of the workers.
        address: ``local``, ``auto`` or another one that ``ray.init`` takes.
        count: processors of a Ray of its own, one for each job at once; None for all, and for another Ray.
        key: that gave the address, for the messages.

    Raises:
        UnshareableError: if ``shared`` cannot be sent.
        InputError: if Ray does not answer.
    """

    def __init__(self, shared: Any, setting: Setting, address: str, count: int | None, key: str) -> None:
        super().__init__(shared)
        packed = parcel.pack(shared, parcel.LARGE)
        self._ray, self._number = connect(address, key, "run.backend=ray", count), uuid.uuid4().hex
        from ray.util.queue import Queue

        self._bars = Queue(actor_options={"num_cpus": 0})
        self._store, self._setting = self._ray.put(packed), setting
        self._shown = Shown(self._receive)

    def send(self, payload: bytes) -> "_Pending":
        """Hand a packed job in."""
        task = self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(_work)
        return _Pending(self._ray, task.remote(payload, self._number, self._store, self._setting, self._bars))

    def close(self) -> None:
        """Leave Ray; what still runs is ended."""
        with suppress(self._ray.exceptions.RayError):  # an interrupt ends all processes of a Ray of its own
            self._bars.put(None)
        self._shown.close()
        self._ray.shutdown()

    def _receive(self) -> tuple[Any, ...] | None:
        try:
            return self._bars.get()
        except self._ray.exceptions.RayError:
            return None


class _Pending:
    """A job that may still run."""

    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference

    def result(self) -> Any:
        """Wait for it.

        Raises:
            StoppedError: if its process or machine was lost too often.
        """
        try:
            packed = self._ray.get(self._reference)
        except self._ray.exceptions.RayTaskError as error:  # what a job raises is in its outcome
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise StoppedError(f"a worker was lost {_ATTEMPTS} times ({type(error).__name__})") from error
        return take(packed)


def _work(payload: bytes, number: str, shared: Any, setting: Setting, bars: Any) -> bytes:
    """In a worker: one job; what all of a pool share is unpacked once."""
    serve()
    if _known.get("number") != number:
        setting.begin()
        _known.update(number=number, shared=parcel.unpack(*shared))
    with sent_bars(lambda message: bars.put(message), os.getpid()), setting.around():
        return outcome_of(payload, _known["shared"], setting.says)
