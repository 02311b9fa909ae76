"""The bar that shows how far the reading is."""

import time

from tqdm import tqdm

_QUIET_SECONDS = 0.5


def reading_bar(name: str, total: int | None, unit: str, began: float | None = None) -> tqdm:
    """A bar on a terminal, for what takes longer than half a second; it is gone when the reading has ended.

    Args:
        name: of what is read.
        total: how many there are, if that is known.
        unit: of what.
        began: when the reading began, by ``time.monotonic``; None: now.
    """
    quiet = 0.0 if began is None else time.monotonic() - began
    return tqdm(
        desc=f"reading {name}"[:60],
        total=total,
        unit=unit,
        unit_scale=True,
        delay=max(0.0, _QUIET_SECONDS - quiet),
        miniters=1,  # the pace may change: every step looks at the clock
        leave=False,
        disable=None,
        dynamic_ncols=True,
    )
