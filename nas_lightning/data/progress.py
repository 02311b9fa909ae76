"""The bar that shows how far the reading is."""

from tqdm import tqdm

_QUIET_SECONDS = 0.5


def reading_bar(name: str, total: int | None, unit: str) -> tqdm:
    """A bar on a terminal, for what takes longer than half a second; it is gone when the reading has ended.

    Args:
        name: of what is read.
        total: how many there are, if that is known.
        unit: of what.
    """
    return tqdm(
        desc=f"reading {name}"[:60],
        total=total,
        unit=unit,
        unit_scale=True,
        delay=_QUIET_SECONDS,
        miniters=1,  # the pace may change: every step looks at the clock
        leave=False,
        disable=None,
        dynamic_ncols=True,
    )
