"""What a pool is, and the one that does everything at once, in this process."""

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

import torch

from nas_lightning.workers import parcel

log = logging.getLogger("nas_lightning")

R = TypeVar("R", covariant=True)

Job = Callable[[Any], Any]
"""A piece of work: from what all jobs of a pool share to its result. Both can be pickled, as the result can."""


class Pending(Protocol[R]):
    """A job that was handed in."""

    def result(self) -> R:
        """Wait for it, say what it had to say, and return its result or raise what it raised."""


class Pool(Protocol):
    """Does jobs, side by side if it can. What comes of a job is the same in every pool, to the last bit.

    Attributes:
        is_parallel: whether a job that was handed in runs beside what comes after.
    """

    is_parallel: bool

    def submit(self, job: Callable[[Any], R]) -> Pending[R]:
        """Hand a job in."""

    def map(self, jobs: Iterable[Callable[[Any], R]]) -> Iterator[R]:
        """The results of several jobs in their order; a pool that is not parallel does each when its turn comes."""

    def close(self) -> None:
        """End; what has not been waited for is given up."""


class Parallel(ABC):
    """What pools whose jobs run elsewhere have in common.

    Args:
        shared: what the jobs get.
    """

    is_parallel = True

    def __init__(self, shared: Any) -> None:
        self.shared = shared

    def submit(self, job: Job) -> Pending[Any]:
        """Hand a job in; one that cannot be sent is done here."""
        try:
            payload = parcel.pack(job)[0]
        except parcel.UnshareableError as error:
            log.warning("workers: a job is done here, because it cannot be sent (%s)", error)
            return Here(self.shared).submit(job)
        return self.send(payload)

    @abstractmethod
    def send(self, payload: bytes) -> Pending[Any]:
        """Hand a packed job in."""

    def map(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """The results of several jobs in their order; all of them are handed in at once."""
        pending = [self.submit(job) for job in jobs]
        return (each.result() for each in pending)


class Done:
    """A job that has been done."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self) -> Any:
        """Its result."""
        return self.value


class Here:
    """Does each job where it is handed in; what a job raises is raised there.

    Args:
        shared: what the jobs get.
    """

    is_parallel = False

    def __init__(self, shared: Any) -> None:
        self.shared = shared

    def submit(self, job: Job) -> Done:
        """Do it."""
        with one_thread():
            return Done(job(self.shared))

    def map(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """The results of several jobs, each done when its turn comes."""
        return (self.submit(job).result() for job in jobs)

    def close(self) -> None:
        """There is nothing to end."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread of PyTorch, because sums of several threads may round otherwise."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
