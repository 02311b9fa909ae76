"""Whether a front end suits the values that it gets."""

from collections.abc import Iterable

from torch import Tensor

from nas_lightning.data.features import FrontEnd
from nas_lightning.data.recordings import Recordings
from nas_lightning.errors import InputError

_MOST_MOVED = 1e-3


def check_whole_numbers(front_end: FrontEnd, recordings: Recordings) -> None:
    """Refuse values between -1 and 1 before fixed-point steps, which round what they get to 0 or 1.

    Raises:
        InputError: naming the step.
    """
    names = front_end.names
    if {"FFT_Q15", "PIR_FE_Q15"} & set(names) and "TO_Q15" not in names:
        least, most = (float(value) for value in recordings.values.aminmax())  # without a copy of all
        largest = max(-least, most) / abs(front_end.scale or 1)
        if largest <= 1:
            raise InputError(
                f"`feat_ext_transform`: {names[0]} takes whole numbers, and those of "
                f"{recordings.source} lie within -{largest:g} and {largest:g}; allowed: TO_Q15 before it, or another "
                "scale"
            )


def check_rounding(front_end: FrontEnd, batches: Iterable[Tensor], std: Tensor, split: str) -> None:
    """Compare a front end with its form in the exported network.

    Args:
        front_end: of the network.
        batches: rows ``[B, channels, rows]`` of a split.
        std: of its features, ``[C]``.
        split: whose rows they are.

    Raises:
        InputError: if rounding alone moves the features: the logarithm of a spectrum that is 0 in exact numbers.
    """
    exported = front_end.for_export()
    for x in batches:
        moved = float(((exported(x) - front_end(x)).abs().amax((0, 2)) / std).max())
        if not moved <= _MOST_MOVED:
            raise InputError(
                f"rounding alone moves features of {split} by {moved:.2g} standard "
                "deviations, because a spectrum is 0 there; put RAW_FE before the FFT, or raise "
                "log_threshold"
            )
