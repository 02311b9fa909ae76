"""What a network eats, in one record; it goes into ONNX files, the firmware and ``nas_lightning.load``."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta

from nas_lightning.tasks import Outputs, outputs_of
from nas_lightning.tasks.decisions import Decision, Smoothing

ROWS: Final = "rows"
SCALED: Final = "scaled rows"
FEATURES: Final = "features"
"""What ``x`` can be: see ``InputDescription.x``."""

_LARGEST = sys.float_info.max
_REQUIRED = {"version", "identity"}

# What may stand in a file that a stranger wrote.
_Text = Annotated[str, Meta(max_length=10_000)]
_Names = Annotated[tuple[_Text, ...], Meta(max_length=1 << 16)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 31)]
_Number = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
_Numbers = Annotated[tuple[_Number, ...], Meta(max_length=1 << 16)]


@dataclass(frozen=True)
class InputDescription:
    """What stands before a network, and what its outputs mean.

    A *row* is one reading of all sensor channels. A value of a row is what the recordings hold, in their own ``unit``,
    less the channel's offset; it is taken off in integers or doubles, before the value becomes a float.

    Attributes:
        version: of the package that wrote the network.
        identity: which network it is: the hash of its genotype.
        outputs: what they mean; their keys stand between those of the other fields.
        x: what ``model.onnx``, ``model_int8.onnx`` and ``nas_lightning.load`` take: ``rows``; ``scaled rows``, which
            are rows divided by ``scale``; or ``features``, which the front end makes of rows.
        shape: of x: channels, and length.
        channels: the sensor channels in order, by name, or by number where they have no names.
        window: rows of a sample.
        stride: rows from the beginning of a sample to that of the next one, in training.
        sampling_rate: rows a second, after resampling; None if it is not known.
        unit: how a value of the recordings came from the numbers that a device gives; None if they are the same.
        offsets: for each channel what is taken off.
        scale: what divides rows: the front end, where there is one; None if nothing does.
        features: the name of the front end.
        steps: of the front end.
        least: the smallest value of each channel in train, offset included.
        most: the largest.
        opset: of the ONNX files.
        temperature: what divides logits before their softmax, whose largest value is the score; None counts as 1.
        threshold: the least score of a window that is of a class; None accepts all.
        postprocess: how successive windows decide together; None leaves each alone.
    """

    version: _Text
    identity: _Text
    outputs: Outputs
    x: Literal["rows", "scaled rows", "features"] = ROWS
    shape: Annotated[tuple[_Count, ...], Meta(max_length=2)] = ()
    channels: _Names = ()
    window: _Count = 0
    stride: _Count = 0
    sampling_rate: Annotated[float, Meta(gt=0, le=_LARGEST)] | None = None
    unit: _Text | None = None
    offsets: _Numbers = ()
    scale: _Number | None = None
    features: _Text | None = None
    steps: _Names = ()
    least: _Numbers = ()
    most: _Numbers = ()
    opset: _Count | None = None
    temperature: Annotated[float, Meta(ge=1e-3, le=1e3)] | None = None
    threshold: Annotated[float, Meta(ge=0, le=2)] | None = None
    postprocess: Smoothing | None = None

    @property
    def decision(self) -> Decision:
        """What becomes of the outputs."""
        return Decision(1.0 if self.temperature is None else self.temperature, self.threshold, self.postprocess)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``input.json``."""
        content: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "outputs":
                content |= value.to_dict()
            else:
                content[field.name] = dataclasses.asdict(value) if isinstance(value, Smoothing) else value
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "InputDescription":
        """Read what ``to_dict`` gives, from a file that a stranger may have written.

        A version that knew less wrote fewer keys; what they say is then not known.

        Raises:
            ValueError: for anything that ``to_dict`` does not give.
        """
        kinds = get_type_hints(cls, include_extras=True)
        del kinds["outputs"]
        if not isinstance(content, Mapping) or not content.keys() >= _REQUIRED:
            raise ValueError(f"its keys are not {', '.join(sorted(kinds))}, and those of the outputs")
        for key in content.keys() & kinds.keys():
            try:
                msgspec.convert(content[key], kinds[key])
            except msgspec.ValidationError as error:
                raise ValueError(f"{key}: {str(content[key])[:100]!r}") from error
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content.items() if key in kinds
        }
        if values.get("postprocess") is not None:
            values["postprocess"] = msgspec.convert(values["postprocess"], Smoothing)
        made = cls(**values, outputs=outputs_of({key: content[key] for key in content if key not in kinds}))
        if made.scale == 0 or len(made.shape) == 1:
            raise ValueError(f"scale: {made.scale}, shape: {made.shape}")
        for name in ("offsets", "least", "most"):
            if len(getattr(made, name)) not in (0, len(made.channels)):
                raise ValueError(f"{name}: has {len(getattr(made, name))} values for {len(made.channels)} channels")
        return made

    def of_rows(self, channels: int, window: int) -> "InputDescription":
        """The same, with what it does not say of samples of rows of some shape.

        Raises:
            ValueError: if it says another number of values.
        """
        names = self.channels or tuple(str(i) for i in range(channels))
        made = dataclasses.replace(
            self,
            channels=names,
            window=self.window or window,
            stride=self.stride or self.window or window,
            offsets=self.offsets or (0.0,) * len(names),
        )
        if len(made.channels) * made.window != channels * window:
            found = f"{len(made.channels)} channels of {made.window} rows"
            raise ValueError(f"it says {found}; the samples have {channels} of {window}")
        return made

    def metadata(self) -> dict[str, str]:
        """For ``metadata_props`` of an ONNX file: texts as they are, all else as JSON, without what is not known."""
        known = {key: value for key, value in self.to_dict().items() if value not in (None, ())}
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()}
        return texts | {"input": self.sentence()}

    def sentence(self) -> str:
        """What ``x`` is, in words."""
        what = {
            ROWS: "x holds rows: all values of the first channel, then those of the next one",
            SCALED: "x holds rows divided by scale: all values of the first channel, then those of the next one",
            FEATURES: "x holds what the steps of the front end make of rows divided by scale"
            if self.scale is not None
            else "x holds what the steps of the front end make of rows",
        }[self.x]
        inside = self.scale is not None and self.x == ROWS
        unit = "" if self.unit is None else f", made of the numbers of the device by: {self.unit}"
        less = ", less offsets (taken off in integers or doubles, before it is a float)" if any(self.offsets) else ""
        divided = "; the network divides by scale itself" if inside else ""
        return f"{what}{divided}. A value of a row is that of the recordings{unit}{less}."
