"""What a run says while it works: ``run.log``, warnings on the console, and less of Lightning."""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("nas_lightning")


class _Strict(logging.FileHandler):
    """Hands on what goes wrong, where logging would print a traceback and go on."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by logging while it handles the error."""
        raise


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Write what is said to ``run.log`` in a folder, and warnings to the console."""
    handler = _Strict(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    console = logging.StreamHandler()
    console.addFilter(lambda record: record.levelno == logging.WARNING)  # what ends the run is said by who catches it
    level = log.level
    log.addHandler(handler)
    log.addHandler(console)
    log.setLevel(logging.INFO)
    start = time.perf_counter()
    try:
        yield
        log.info("done in %.1f seconds", time.perf_counter() - start)
    except BaseException as error:
        with suppress(OSError):  # the disk may be full; what matters is what stopped the run
            log.error("stopped: %s: %s", type(error).__name__, error)
        raise
    finally:
        log.removeHandler(handler)
        log.removeHandler(console)
        log.setLevel(level)
        with suppress(OSError):
            handler.close()


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hide what Lightning says about choices that are made here on purpose, and its advertisements."""
    lightning_log = logging.getLogger("lightning.pytorch")
    level = lightning_log.level
    lightning_log.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")  # the data lie in memory
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")  # a resumed run
        warnings.filterwarnings("ignore", "GPU available but not used.*")  # for most searches a CPU is faster
        warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")  # training.only_head
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")  # Lightning's own use of torch
        try:
            yield
        finally:
            lightning_log.setLevel(level)
