"""What the loop over channels does for one front end: how values are loaded, where they lie, what is called."""

from dataclasses import dataclass

from nas_lightning.data.features import FrontEnd
from nas_lightning.export.front_end.chain import Chain, has_mean_to_remove
from nas_lightning.export.front_end.tables import needs_whole_window
from nas_lightning.export.texts import filled


@dataclass(frozen=True)
class Plan:
    """What is special to one front end.

    Attributes:
        load: the function that copies raw values to where they are worked on.
        arrays: the arrays that hold them, by name.
        body: what the loop over the channels does.
    """

    load: str
    arrays: dict[str, str]
    body: str


def _array(name: str, size: int) -> dict[str, str]:
    return {name: f"static {'int16_t' if name.endswith('q15') else 'float'} {name}[{size}];\n"}


def _scaled(front_end: FrontEnd, row: str) -> str:
    return f"rows[{row}]" if front_end.scale is None else f"rows[{row}] / SCALE"


def plan_of_windows(front_end: FrontEnd) -> Plan:
    """The PIR steps: windows of a frame, each in the array that its spectrum takes."""
    value = _scaled(front_end, "row")
    size = int(front_end.settings["fft_size"])
    if "PIR_FE_Q15" in front_end.names:
        # Rounded before the offset is taken off: that would make a half of a number that is close to one.
        load = filled("load_window.c", {"KIND": "int16_t", "VALUE": f"to_int16(rintf({value}) - OFFSET)"})
        words = {"SCRATCH": "scratch_q15", "FEATURES": "pir_features_q15"}
    else:
        load = filled("load_window.c", {"KIND": "float", "VALUE": value})
        words = {"SCRATCH": "scratch", "FEATURES": "pir_features"}
    return Plan(load, _array(words["SCRATCH"], size + 2), filled("run_windows.c", words).rstrip())


def plan_of_frames(front_end: FrontEnd) -> Plan:
    """All other steps: frame by frame, in as few arrays as they need."""
    chain = Chain(front_end)
    arrays = {name: text for name, size in chain.sizes.items() for name, text in _array(name, size).items()}
    if front_end.num_frames == 1:
        body = "\n".join(f"        {call}" for call in chain.calls)
    else:
        calls = "\n".join(f"            {call}" for call in chain.calls)
        body = f"        for (int frame = 0; frame < FRAMES; frame++) {{\n{calls}\n        }}"
    return Plan(_load_of_frame(front_end), arrays, body)


def _load_of_frame(front_end: FrontEnd) -> str:
    """The function that copies a frame, with the steps that take one value at a time."""
    names = set(front_end.names)
    value, mean = _scaled(front_end, "i"), ""
    if "WINDOWING" in names:
        whole, half = "hann[i]", "hann[i < FRAME_SIZE / 2 ? i : FRAME_SIZE - 1 - i]"
        value += f" * {whole if needs_whole_window(front_end) else half}"
    if "FFT_Q15" not in names:
        return filled("load_frame.c", {"KIND": "float", "MEAN": mean, "VALUE": value})
    if has_mean_to_remove(front_end):
        # Here, where the rows are at hand: afterwards an array of floats would be needed.
        value, mean = f"{value} - mean", filled("mean_of_frame.c", {"VALUE": value})
    value = f"{'to_q15' if 'TO_Q15' in names else 'to_int16'}({value})"
    return filled("load_frame.c", {"KIND": "int16_t", "MEAN": mean, "VALUE": value})
