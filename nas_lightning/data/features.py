"""The front end: from raw frames to what the network sees, in steps of fixed order.

The names of the steps are those of the presets in ``conf/features``; ``docs/data.md`` has the table, and says where the
meaning of a key is cleaner here than in the toolchain that the presets come from.

Shapes: B batch, C channels, K frames of a sample, N values of a frame. A step maps ``[B, C, K, N]`` to
``[B, C, K, N']``. Between FFT_FE and ABS a spectrum is ``[B, C, K, 2, M]``: real parts, imaginary parts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nas_lightning.data import fixed_point, pir
from nas_lightning.data.spectrum import dft_matrices, group_bins, log_db, magnitude, remove_mean, to_int16
from nas_lightning.errors import InputError

STEPS = (
    *("WINDOWING", "RAW_FE", "TO_Q15", "FFT_Q15", "Q15_SCALE", "Q15_MAG", "FFT_FE", "NORMALIZE", "ROUND_OFF"),
    *("FFT_POS_HALF", "ABS", "KURT_FE", "ENT_FE", "ZCR_FE", "DOM_FE", "SLOPE_FE", "PIR_FE", "PIR_FE_Q15"),
    *("DC_REMOVE", "BIN_Q15", "BINNING", "LOG_DB", "CONCAT"),
)
"""All steps, in the order in which they run."""

STACKINGS = ("2D1", "1D")
"""Channels beside each other, or laid end to end as one."""

_LARGEST_FRAME = 1 << 20
STATISTICS = ("KURT_FE", "ENT_FE", "ZCR_FE", "DOM_FE", "SLOPE_FE")
"""Steps that each make one value or a few of a frame."""
_PIR = ("PIR_FE", "PIR_FE_Q15")
_FIXED = ("FFT_Q15", "Q15_SCALE", "Q15_MAG", "BIN_Q15", "PIR_FE_Q15")
_NOT_IN_ONNX = {*_FIXED, "TO_Q15", *STATISTICS, *_PIR}

# Of the C code, library functions included, on a core without a floating-point unit (export/front_end).
_CODE_BYTES = {
    "base": 400,
    **{"WINDOWING": 100, "FFT_FE": 600, "ABS": 500, "BINNING": 200, "LOG_DB": 1300, "ENT_FE": 1500, "DOM_FE": 800},
    **{"FFT_Q15": 1700, "Q15_MAG": 400, "BIN_Q15": 100, "PIR_FE": 2600, "PIR_FE_Q15": 4200, "KURT_FE": 300},
}

_IN_PLACE = {"WINDOWING", "RAW_FE", "NORMALIZE", "ROUND_OFF", "ABS", "LOG_DB", "CONCAT"}

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FrontEndCost:
    """What the front end takes on the device, for one sample.

    Attributes:
        macs: multiply-accumulates of the frames that are new in a sample; a real FFT of N values counts N log2 N.
        ram_bytes: the frame or spectrum that its C code works in, and the features of the sample as floats. The raw
            rows lie in the memory of who calls it.
        flash_bytes: tables and an allowance for code (``docs/costs.md`` has the measurements behind it).
    """

    macs: int = 0
    ram_bytes: int = 0
    flash_bytes: int = 0


class FrontEnd(nn.Module):
    """Raw samples ``[B, C, rows]`` to the network's input ``[B, C', L]``, by the steps that are listed.

    A sample is ``num_frame_concat`` frames of ``frame_size`` rows; neighbouring frames begin ``frame_size *
    stride_size`` rows apart, neighbouring samples ``frame_skip`` frames.

    >>> front_end = FrontEnd(["FFT_FE", "FFT_POS_HALF", "ABS", "DC_REMOVE", "CONCAT"], frame_size=32)
    >>> front_end(torch.randn(4, 1, front_end.rows)).shape
    torch.Size([4, 1, 16])

    Args:
        feat_ext_transform: names of steps; they run in the order of ``STEPS``. Without any the rows stay as they are.
        frame_size: N; None takes whole recordings, which needs an empty list of steps.
        stride_size: rows from one frame to the next, as a share of ``frame_size``.
        feature_size_per_frame: F, groups of BINNING and BIN_Q15.
        num_frame_concat: frames of a sample.
        frame_skip: frames from one sample to the next.
        min_bin: the first bin of the spectrum that is grouped; 0 is the constant part.
        analysis_bandwidth: 1 groups the whole spectrum, 2 half of it, 4 a quarter.
        normalize_bin: whether a group is the mean of its bins; else their sum.
        dc_remove: whether RAW_FE takes the mean off each frame.
        stacking: one of ``STACKINGS``.
        scale: divides the raw values.
        q15_scale_factor: bits that Q15_SCALE shifts to the left.
        log_mul: LOG_DB is ``log_mul * log_base(log_threshold + x)``.
        log_base: a number or ``e``.
        log_threshold: at least 1e-30 is taken, so that the logarithm of 0 is finite in float32, and on a device too.
        fft_size: points of the spectrum in ENT_FE, DOM_FE and the PIR steps.
        kurt_chunk_size: values of a chunk of KURT_FE.
        sampling_rate: Hz of the recordings, for the frequencies of DOM_FE and the PIR steps.
        new_sr: Hz that they are brought to, if that is another.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """

    def __init__(
        self,
        feat_ext_transform: Sequence[str] = (),
        frame_size: int | None = None,
        stride_size: float = 1.0,
        feature_size_per_frame: int | None = None,
        num_frame_concat: int = 1,
        frame_skip: int = 1,
        min_bin: int = 1,
        analysis_bandwidth: int = 1,
        normalize_bin: bool = False,
        dc_remove: bool = True,
        stacking: str = "2D1",
        scale: float | None = None,
        q15_scale_factor: int = 4,
        log_mul: float = 20.0,
        log_base: float | Literal["e"] = 10,
        log_threshold: float = 1e-100,
        fft_size: int = 64,
        kurt_chunk_size: int = 8,
        sampling_rate: float | None = None,
        new_sr: float | None = None,
    ) -> None:
        super().__init__()
        self.settings = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        names = list(feat_ext_transform)
        _check_frames(names, self.settings)
        _check_steps(names, num_frame_concat, stacking)
        _check_numbers(names, self.settings)
        self.names = [name for name in STEPS if name in names]
        self.frame_size, self.num_frames, self.stacking, self.scale = frame_size, num_frame_concat, stacking, scale
        self.frame_hop = 0 if frame_size is None else max(1, int(frame_size * stride_size))
        self.frame_skip = frame_skip
        self.cosines: Tensor | None = None
        self.sines: Tensor | None = None
        self._steps = self._functions()

    @property
    def is_raw(self) -> bool:
        """Whether the network sees the rows as they are, but for ``scale``."""
        return not self.names

    @property
    def is_exportable(self) -> bool:
        """Whether ONNX can express the steps."""
        return not set(self.names) & _NOT_IN_ONNX

    @property
    def rows(self) -> int:
        """Raw rows of a sample; 0 where samples are whole recordings."""
        return 0 if self.frame_size is None else self.frame_size + (self.num_frames - 1) * self.frame_hop

    @property
    def hop(self) -> int:
        """Raw rows from one sample to the next; 0 where samples are whole recordings."""
        return self.frame_hop * self.frame_skip

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, rows]`` to ``[B, C', L]``."""
        return self.extract(self.scaled(x))

    def scaled(self, x: Tensor) -> Tensor:
        """Raw rows divided by ``scale``; augmentation comes after it."""
        return x if self.scale is None else x / self.scale

    def extract(self, x: Tensor) -> Tensor:
        """Scaled rows to the network's input."""
        if self.frame_size is None or self.is_raw:
            return x.flatten(1).unsqueeze(1) if self.stacking == "1D" else x
        starts = range(0, self.num_frames * self.frame_hop, self.frame_hop)
        x = torch.stack([x[..., start : start + self.frame_size] for start in starts], dim=2)
        for step in self._steps:
            x = step(x)
        if set(self.names) & set(_PIR):
            x = x.squeeze(2).transpose(2, 3).flatten(1, 2)
        else:
            x = x.flatten(1).unsqueeze(1) if self.stacking == "1D" else x.flatten(2)
        return x.float()

    def for_export(self) -> "FrontEnd":
        """The same with the FFT as a product with a matrix, which every ONNX tool can run.

        Raises:
            InputError: if ONNX cannot express the steps.
        """
        if not self.is_exportable:
            raise InputError(f"ONNX cannot express {', '.join(self.names)}")
        front_end = FrontEnd(**self.settings)
        if "FFT_FE" in self.names:
            size = self.frame_size or 0
            bins = size // 2 + 1 if "FFT_POS_HALF" in self.names else size
            front_end.cosines, front_end.sines = dft_matrices(size, bins)
        return front_end

    def cost(self, channels: int) -> FrontEndCost:
        """What the device spends on it."""
        if self.is_raw or self.frame_size is None:
            return FrontEndCost()
        size = self.frame_size
        names, is_fixed = set(self.names), bool(set(self.names) & set(_FIXED))
        points = self.settings["fft_size"] if names & {"ENT_FE", "DOM_FE", *_PIR} else size
        has_fft = bool(names & {"FFT_FE", "FFT_Q15", "ENT_FE", "DOM_FE", *_PIR})
        features = self(torch.zeros(1, channels, self.rows)).numel()
        per_frame = size * len(names & {"WINDOWING", "RAW_FE", "TO_Q15", "NORMALIZE"})
        per_frame += size * math.ceil(math.log2(size)) if has_fft else 0
        per_frame += size * len(names & {"ABS", "Q15_MAG", "BINNING", "BIN_Q15"})
        new_frames = min(self.frame_skip, self.num_frames)
        macs = channels * new_frames * per_frame + (features if "LOG_DB" in names else 0)
        worked_in = 0 if names <= _IN_PLACE else max(points, size if names - {*_PIR} else 0) + 2
        tables = 4 * size * ("WINDOWING" in names) + (5 * points // 2 + 100 if is_fixed else 2 * points) * has_fft
        code = _CODE_BYTES["base"] + sum(size for name, size in _CODE_BYTES.items() if name in names)
        return FrontEndCost(macs, (2 if is_fixed else 4) * worked_in + 4 * features, tables + code)

    def _functions(self) -> list[Step]:
        """What the steps do to frames, in their order; statistics come last, side by side."""
        settings, names, size = self.settings, set(self.names), self.frame_size or 0
        first_bin = settings["min_bin"] - ("DC_REMOVE" in names)
        num_groups, width = 0, 0
        if {"BINNING", "BIN_Q15"} & names:
            num_groups, width = _groups(
                size, settings["feature_size_per_frame"], settings["analysis_bandwidth"], first_bin
            )
        rate, fft_size = settings["new_sr"] or settings["sampling_rate"] or 1.0, settings["fft_size"]
        steps: dict[str, Step] = {
            "WINDOWING": lambda x: x * torch.hann_window(size, periodic=False, device=x.device),
            "RAW_FE": remove_mean if settings["dc_remove"] else nn.Identity(),
            "TO_Q15": fixed_point.to_q15,
            "FFT_Q15": lambda x: fixed_point.rfft_q15(to_int16(x)),
            "Q15_SCALE": partial(fixed_point.shift_q15, bits=settings["q15_scale_factor"]),
            "Q15_MAG": lambda x: fixed_point.magnitude_q15(x[..., : size + 2]),
            "FFT_FE": self._fft,
            "NORMALIZE": lambda x: x / size,
            "ROUND_OFF": torch.round,
            "FFT_POS_HALF": lambda x: x[..., : size // 2 + 1],
            "ABS": magnitude if "FFT_FE" in names else torch.abs,
            "PIR_FE": partial(pir.pir_features, sampling_rate=rate, fft_size=fft_size),
            "PIR_FE_Q15": partial(pir.pir_features_q15, sampling_rate=rate, fft_size=fft_size),
            "DC_REMOVE": lambda x: x[..., 1:],
            "BIN_Q15": partial(fixed_point.bin_q15, num_bins=num_groups, width=width, offset=first_bin),
            "BINNING": partial(group_bins, num_groups, width, first_bin, settings["normalize_bin"]),
            "LOG_DB": partial(log_db, settings["log_mul"], settings["log_base"], settings["log_threshold"]),
        }
        statistics: dict[str, Step] = {
            "KURT_FE": partial(pir.kurtosis, chunk_size=settings["kurt_chunk_size"]),
            "ENT_FE": partial(pir.spectral_entropy, fft_size=fft_size),
            "ZCR_FE": pir.zero_crossing_rate,
            "DOM_FE": partial(pir.dominant_frequencies, sampling_rate=rate, fft_size=fft_size),
            "SLOPE_FE": pir.slope_change_rate,
        }
        listed = [statistics[name] for name in self.names if name in statistics]
        beside = [lambda x: torch.cat([statistic(x.float()) for statistic in listed], dim=-1)] if listed else []
        return [steps[name] for name in self.names if name in steps] + beside

    def _fft(self, x: Tensor) -> Tensor:
        if self.cosines is not None and self.sines is not None:
            return torch.stack([x @ self.cosines, x @ self.sines], dim=-2)
        spectrum = torch.fft.fft(x)
        return torch.stack([spectrum.real, spectrum.imag], dim=-2)


def _groups(frame_size: int | None, groups: int | None, bandwidth: int, first: int) -> tuple[int, int]:
    """Number and width of the groups of a spectrum."""
    half = (frame_size or 0) // 2
    if groups is None or groups < 1 or bandwidth < 1 or half // groups // bandwidth < 1:
        raise InputError(
            f"`feature_size_per_frame`: found {groups} with analysis_bandwidth {bandwidth}; a frame of "
            f"{frame_size} has {half} bins: their product is allowed to be 1 to {half}"
        )
    width = half // groups // bandwidth
    if first < 0 or first + groups * width > half + 1:
        raise InputError(
            f"`min_bin`: {groups} groups of {width} bins do not fit from there into the {half + 1} bins of a "
            f"frame of {frame_size}; allowed: up to {half + 1 - groups * width}"
        )
    return groups, width


def _check_frames(names: list[str], settings: Mapping[str, Any]) -> None:
    size, num_frames, scale = settings["frame_size"], settings["num_frame_concat"], settings["scale"]
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise InputError(f"`feat_ext_transform`: found {unknown}; allowed: {', '.join(STEPS)}")
    if settings["stacking"] not in STACKINGS:
        raise _refused(settings, "stacking", ", ".join(STACKINGS))
    for key in ("frame_size", "num_frame_concat", "frame_skip"):
        if settings[key] is not None and settings[key] < 1:
            raise _refused(settings, key, "1 or more")
    if size is not None and size > _LARGEST_FRAME:
        raise _refused(settings, "frame_size", f"up to {_LARGEST_FRAME}, or null")
    if size is None and (settings["stride_size"] != 1 or settings["frame_skip"] != 1):
        raise InputError("`frame_size`: is null; stride_size and frame_skip need frames")
    if not 0 < settings["stride_size"] < math.inf:
        raise _refused(settings, "stride_size", "more than 0, as a share of frame_size")
    if scale is not None and (scale == 0 or not math.isfinite(scale)):
        raise _refused(settings, "scale", "a number other than 0, or null")
    if size is None and (names or num_frames > 1):
        raise InputError(f"`frame_size`: is null; {', '.join(names) or 'num_frame_concat'} needs frames")
    if num_frames > 1 and "CONCAT" not in names:
        raise InputError(f"`num_frame_concat`: found {num_frames}; more than 1 needs the step CONCAT")


def _refused(settings: Mapping[str, Any], key: str, allowed: str) -> InputError:
    return InputError(f"`{key}`: found {settings[key]!r}; allowed: {allowed}")


def _check_steps(names: list[str], num_frames: int, stacking: str) -> None:
    needs = {"FFT_POS_HALF": "FFT_FE", "NORMALIZE": "FFT_FE", "Q15_SCALE": "FFT_Q15", "Q15_MAG": "FFT_Q15"}
    needs |= {"BINNING": "ABS", "BIN_Q15": "Q15_MAG", "FFT_FE": "ABS", "FFT_Q15": "Q15_MAG"}
    for name, needed in needs.items():
        if name in names and needed not in names:
            raise InputError(f"`feat_ext_transform`: {name} needs {needed}, which is not in {names}")
    if "LOG_DB" in names and not {"ABS", "Q15_MAG"} & set(names):
        raise InputError("`feat_ext_transform`: LOG_DB needs ABS, because values below 0 have no logarithm")
    if set(names) & set(_PIR) and (set(names) - {*_PIR, "CONCAT"} or num_frames > 1 or stacking != "2D1"):
        raise InputError(f"`feat_ext_transform`: {names} goes with no other step, one frame and stacking 2D1")
    if len(set(names) & {"FFT_FE", "FFT_Q15", *_PIR}) > 1 or (set(names) & set(STATISTICS) and "ABS" in names):
        raise InputError(f"`feat_ext_transform`: only one transform of a frame is allowed, found {names}")


def _check_numbers(names: list[str], settings: Mapping[str, Any]) -> None:
    threshold, base, size = settings["log_threshold"], settings["log_base"], settings["frame_size"]
    if not math.isfinite(settings["log_mul"]) or not 0 <= threshold < math.inf:
        raise InputError(
            f"`log_mul`, log_threshold: found {settings['log_mul']} and {threshold}; allowed: finite numbers, "
            "the threshold 0 or more"
        )
    is_number = isinstance(base, int | float) and not isinstance(base, bool)
    if base != "e" and not (is_number and 0 < base < math.inf and base != 1):
        raise _refused(settings, "log_base", "e, or a number above 0 other than 1")
    if settings["fft_size"] < 2:
        raise _refused(settings, "fft_size", "2 or more")
    if "KURT_FE" in names and not 4 <= settings["kurt_chunk_size"] <= (size or 0):
        raise _refused(settings, "kurt_chunk_size", f"4 to frame_size, {size}")
