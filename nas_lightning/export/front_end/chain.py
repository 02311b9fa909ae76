"""The steps of a frame as calls of C functions."""

from collections.abc import Mapping, Sequence

from nas_lightning.data.features import STATISTICS, FrontEnd
from nas_lightning.export.front_end.constants import SPECTRAL, float_fft_size, group_sizes


def has_mean_to_remove(front_end: FrontEnd) -> bool:
    """Whether RAW_FE takes the mean off a frame."""
    return "RAW_FE" in front_end.names and bool(front_end.settings["dc_remove"])


class Chain:
    """The calls for a frame, step by step, and where its values are between them.

    The last step that changes the number of values writes them to the features, where the steps after it work; the
    steps before it work in an array for one frame.

    Attributes:
        calls: statements of C.
        sizes: how long the arrays have to be, by name.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.names = set(front_end.names)
        self.calls: list[str] = []
        self.sizes: dict[str, int] = {}
        self._size = front_end.frame_size or 0
        self._last = self._last_resizing()
        is_fixed = "FFT_Q15" in self.names
        self._place = "features" if self._last is None else "scratch_q15" if is_fixed else "scratch"
        self._first = 0  # value of the array that counts
        self._resize(self._size, "FRAME_SIZE")
        self._call("load(rows + frame * FRAME_HOP, {values})" if front_end.num_frames > 1 else "load(rows, {values})")
        for name in front_end.names:
            step = getattr(self, f"_{name.lower()}", None)
            if step is not None:
                step()
        listed = [name for name in front_end.names if name in STATISTICS]
        if listed:
            self._statistics(listed)
        self.calls.append(f"features += {self._words};")

    def _last_resizing(self) -> str | None:
        """The last step that changes the number of values; statistics run after all others."""
        if self.names & set(STATISTICS):
            return "STATISTICS"
        resizing = {"Q15_MAG", "DC_REMOVE", "BIN_Q15", "BINNING", *(["ABS"] if "FFT_FE" in self.names else [])}
        return next((name for name in reversed(self.front_end.names) if name in resizing), None)

    @property
    def _is_fixed(self) -> bool:
        """Whether the values are int16 now."""
        return self._place == "scratch_q15"

    @property
    def _is_whole(self) -> bool:
        """Whether the values are whole numbers now, which float holds."""
        return "TO_Q15" in self.names and "FFT_FE" not in self.names

    @property
    def _values(self) -> str:
        return f"{self._place} + {self._first}" if self._first else self._place

    def _call(self, call: str) -> None:
        self.calls.append(call.format(values=self._values, count=self._words) + ";")

    def _move(self, step: str, call: str, count: int, words: str) -> None:
        """Add the call of a step that writes ``count`` values, in C ``words``, elsewhere or over the old ones."""
        values, old_words = self._values, self._words
        self._place, self._first = "features" if step == self._last else "scratch", 0
        self._resize(count, words)
        self.calls.append(call.format(values=values, count=old_words, out=self._place) + ";")

    def _resize(self, count: int, words: str) -> None:
        self._count, self._words = count, words
        self._need(count)

    def _need(self, count: int) -> None:
        if self._place != "features":
            self.sizes[self._place] = max(self.sizes.get(self._place, 0), self._first + count)

    def _make_float(self, step: str = "") -> None:
        if self._is_fixed:
            self._move(step, "to_float({values}, {out}, {count})", self._count, self._words)

    def _raw_fe(self) -> None:
        if has_mean_to_remove(self.front_end) and not self._is_fixed:
            self._call("remove_mean({values}, {count})")

    def _to_q15(self) -> None:
        if not self._is_fixed:
            self._call("round_to_q15({values}, {count})")

    def _fft_q15(self) -> None:
        self._need(self._size + 2)
        self._call("fft_q15({values})")

    def _q15_scale(self) -> None:
        bits = self.front_end.settings["q15_scale_factor"]
        if bits != 0:
            self._call(f"shift_{'left' if bits > 0 else 'right'}({{values}}, 2 * Q15_BINS)")

    def _q15_mag(self) -> None:
        self._call("magnitudes_q15({values})")
        self._resize(self._size // 2 + 1, "Q15_BINS")
        if self._last == "Q15_MAG":
            self._make_float("Q15_MAG")

    def _fft_fe(self) -> None:
        self._need(2 * (self._size // 2 + 1))
        self._call("real_fft({values})")

    def _normalize(self) -> None:
        self._call("divide({values}, 2 * BINS, FRAME_SIZE)")

    def _round_off(self) -> None:
        if "FFT_FE" in self.names:
            self._call("round_off({values}, 2 * BINS)")
        elif not self._is_fixed and not self._is_whole:
            self._call("round_off({values}, {count})")

    def _abs(self) -> None:
        if "FFT_FE" in self.names:
            self._magnitudes()
        elif self._is_whole and "FFT_Q15" not in self.names:
            self._call("absolute_q15({values}, {count})")
        elif "FFT_Q15" not in self.names:
            self._call("absolute({values}, {count})")

    def _magnitudes(self) -> None:
        is_half = "FFT_POS_HALF" in self.names
        count, words = (self._size // 2 + 1, "BINS") if is_half else (self._size, "FRAME_SIZE")
        self._move("ABS", "magnitudes({values}, {out})", count, words)
        if not is_half:
            self._call("mirror({values})")

    def _dc_remove(self) -> None:
        self._first += 1
        self._count, self._words = self._count - 1, f"{self._words} - 1"
        if self._last == "DC_REMOVE":
            function = "to_float" if self._is_fixed else "copy"
            self._move("DC_REMOVE", f"{function}({{values}}, {{out}}, {{count}})", self._count, self._words)

    def _bin_q15(self) -> None:
        groups, width, first = group_sizes(self.front_end)
        if first + groups * width > self._count:
            self.calls.append(f"{self._place}[Q15_BINS] = 0; /* the last group reaches one bin beyond the spectrum */")
        self._move("BIN_Q15", "group_means_q15({values}, {out})", groups, "GROUPS")

    def _binning(self) -> None:
        self._make_float()
        self._move("BINNING", "group_sums({values}, {out})", group_sizes(self.front_end)[0], "GROUPS")
        if self.front_end.settings["normalize_bin"]:
            self._call("divide({values}, {count}, GROUP_WIDTH)")

    def _log_db(self) -> None:
        self._make_float()
        self._call("log_db({values}, {count})")

    def _statistics(self, listed: Sequence[str]) -> None:
        self._make_float()
        chunks = self._count // self.front_end.settings["kurt_chunk_size"]
        fft_size = float_fft_size(self.front_end)
        sizes = {"KURT_FE": chunks, "DOM_FE": min(2, fft_size // 2)}
        first = {name: sum(sizes.get(before, 1) for before in listed[:i]) for i, name in enumerate(listed)}
        count = sum(sizes.get(name, 1) for name in listed)
        if "KURT_FE" in listed:
            self._call(f"kurtosis({{values}}, {chunks}, features + {first['KURT_FE']})")
        if "ZCR_FE" in listed:
            self._call(f"features[{first['ZCR_FE']}] = sign_changes({{values}}, {{count}}) / (float)({{count}})")
        if "SLOPE_FE" in listed:
            self._call(f"features[{first['SLOPE_FE']}] = slope_changes({{values}}, {{count}}) / (float)({{count}} - 1)")
        if SPECTRAL & set(listed):
            self._spectral_statistics(first, fft_size)
        self._words = str(count)

    def _spectral_statistics(self, first: Mapping[str, int], fft_size: int) -> None:
        """Last of the statistics, because the spectrum takes the place of the values."""
        self._need(2 * (fft_size // 2 + 1))
        if self._count < fft_size:
            self._call("fill_up({values}, {count})")
        self._call("real_fft({values})")
        self._call("magnitudes({values}, {values})")
        if "ENT_FE" in first:
            self._call(f"features[{first['ENT_FE']}] = spectral_entropy({{values}})")
        if "DOM_FE" in first:
            has_one_bin = fft_size // 2 == 1
            dominant = f"dominant_frequencies({{values}}, features + {first['DOM_FE']})"
            self._call(f"features[{first['DOM_FE']}] = HERTZ_PER_BIN" if has_one_bin else dominant)
