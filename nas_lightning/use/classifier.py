"""A trained network with all that stands before it and behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nas_lightning import progress
from nas_lightning.data.collect import stream
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.preparation import Preparation
from nas_lightning.data.reading import ROLES, Reading
from nas_lightning.data.recordings import Source
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.tasks.decisions import Decision
from nas_lightning.tasks.smoothing import begins_of
from nas_lightning.use.channels import Arrangement
from nas_lightning.use.outcomes import Outcomes, Predictions, by_recording
from nas_lightning.use.parts import Cutter, Part
from nas_lightning.use.sources import source_of

UNNEEDED = ("group", "split")
"""Roles of columns that a trained network does without."""


class Classifier(nn.Module):
    """A network that says which class recordings are of.

    As a module it maps samples ``[B, C, L]`` to logits ``[B, K]``. ``predict`` takes recordings as they are written,
    and does with them what the training did. ``state_dict`` is that of ``network``.

    Args:
        network: what the files of the run hold: a PyTorch module, or an ONNX file as one.
        description: what it takes, and what its outputs mean; None for a run of a version that did not write it.
        preparation: how samples are made of recordings; None if the run was given samples.
        is_raw: whether the front end is a part of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        description: InputDescription | None,
        preparation: Preparation | None = None,
        is_raw: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.description, self.preparation = description, preparation
        self._front_end = FrontEnd() if preparation is None or is_raw else FrontEnd(**preparation.front_end)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of samples ``[B, C, L]`` or ``[B, C, L, 1]``.

        Raises:
            InputError: for samples of another shape, which broadcasting or pooling over time would let pass.
        """
        logits: Tensor = self.network(self._checked(x))
        return logits

    def _checked(self, x: Tensor) -> Tensor:
        if self.description is None or not isinstance(x, Tensor):  # of a tracer
            return x
        about, shape = self.description, self.description.shape
        if x.dim() not in (3, 4) or x.shape[1:3] != shape or x.shape[3:].numel() != 1:
            names = brief(", ".join(about.channels))
            raise InputError(
                f"x: found shape {list(x.shape)}; the network takes [B, {shape[0]}, {shape[1]}]: "
                f"{about.x}, of windows of {about.window} rows of the channels {names}"
            )
        return x.squeeze(3) if x.dim() == 4 else x

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """That of ``network``, as ``model.pt`` holds it."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """The inverse of ``state_dict``."""
        return self.network.load_state_dict(state_dict, strict, assign)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits.

        Raises:
            InputError: if the run does not say them.
        """
        return tuple(self.about.outputs.to_dict()["class_names"])

    @property
    def decision(self) -> Decision:
        """What becomes of the logits: temperature, threshold and smoothing of the run."""
        return self.about.decision

    def predict(
        self,
        x: Any,
        *,
        sampling_rate: float | None = None,
        reading: Reading | None = None,
        columns: Mapping[str, str | None] | None = None,
    ) -> Predictions:
        """The classes of recordings, by recording and by window.

        Offsets, channels, missing values, resampling, windows and the front end are those of the training, by its code.
        A DataLoader gives samples that are ready, ``x [B, C, L]`` or tuples that begin with it.

        Args:
            x: recordings: arrays ``[N, C, T]`` or ``[C, T]``, a list of arrays ``[C, T]``, a long data frame, the path
                of a file or a folder of any format that a training reads; or a DataLoader.
            sampling_rate: Hz, of recordings that do not say it.
            reading: how a path or a data frame is written; None: as the recordings of the training were.
            columns: names of columns by their roles (``recording``, ``time``, ``label``, ``group``, ``split``), in the
                place of those of ``reading``. A group or a split of the training may be absent.

        Raises:
            InputError: for a role that is none, and for channels, rates, lengths or values that the network was not
                trained for.
        """
        if isinstance(x, DataLoader):
            return self._of_samples(x)
        if self.preparation is None and hasattr(x, "dtype"):
            return self._of_samples([x])
        notes: list[str] = []
        source = source_of(x, self.reading(reading, is_labelled=False, columns=columns), len(self.about.channels))
        windows, recordings = [], []
        for part in self.stream(source, notes, sampling_rate):
            windows.append(self.outcomes(part))
            recordings.append(by_recording(windows[-1], part.numbers, part.recordings.names))
        notes += source.findings.warnings
        return Predictions(Outcomes.join(recordings), Outcomes.join(windows), tuple(notes))

    def reading(
        self, given: Reading | None = None, *, is_labelled: bool, columns: Mapping[str, str | None] | None = None
    ) -> Reading:
        """How recordings are read: as those of the training, without its table of labels.

        Args:
            given: used instead of what the training was told.
            is_labelled: whether each recording has a class.
            columns: names of columns by their roles, in the place of those.

        Raises:
            InputError: for a role that is none, or a name that is no text.
        """
        own = given
        if own is None:
            own = replace(self.prepared.reading, labels=None, may_lack=UNNEEDED)
        said = dict(columns or {})
        for role, name in said.items():
            if role not in ROLES or not (isinstance(name, str) or (name is None and role in ("label", "group"))):
                raise InputError(
                    f"columns: found {role!r}: {brief(repr(name))}; allowed: {', '.join(ROLES)}, each with the name of "
                    "a column, and None for a label or a group that is not there"
                )
        may_lack = tuple(role for role in own.may_lack if role not in said)
        return replace(
            own, columns={**own.columns, **said}, may_lack=may_lack, is_labelled=is_labelled, is_for_use=True
        )

    def stream(
        self, source: Source, notes: list[str], sampling_rate: float | None = None, *, has_groups: bool = False
    ) -> Iterator[Part]:
        """Recordings and their samples in parts of about a million values, of which none is kept.

        Args:
            source: from a reader.
            notes: gets what was put right, one sentence each.
            sampling_rate: Hz, of recordings that do not say it.
            has_groups: whether the names of recordings say their groups as in training.

        Raises:
            InputError: as ``predict``, when the recording in question is reached.
        """
        own, about = self.prepared, self.about
        cutter = Cutter(own, about, self._front_end)
        arrange = Arrangement(about.channels, own.reading.variables, notes.append)
        reading = replace(own.reading, offset=list(about.offsets) or None)
        pattern = own.group_pattern if has_groups else None
        for recordings in stream(source, arrange, own.missing, pattern, reading):
            if (note := self._check_unit(source.name, recordings.unit)) is not None and note not in notes:
                notes.append(note)
            yield cutter(recordings, sampling_rate)

    def outcomes(self, part: Part, network: nn.Module | None = None) -> Outcomes:
        """What the network says of the windows of a part.

        Args:
            part: of ``stream``.
            network: used instead of that of this classifier.
        """
        names = [part.recordings.names[number] for number in part.numbers]
        return self._outcomes(self._logits(part.batches(), network), names, part.rows, part.seconds, part.numbers)

    def _outcomes(
        self, logits: np.ndarray, names: Sequence[str], rows: np.ndarray, seconds: np.ndarray, recordings: np.ndarray
    ) -> Outcomes:
        decision, smoothed, means = self.decision, None, None
        if decision.smoothing is not None:
            begins = begins_of(recordings)
            smoothed, means = decision.smoothed(logits, begins), decision.means(logits, begins).astype(np.float64)
        scores = decision.shares(logits).astype(np.float64)
        return Outcomes(self.classes, names, scores, rows, seconds, decision.threshold, smoothed, means, logits)

    @torch.no_grad()
    def _logits(self, batches: Iterable[Tensor], network: nn.Module | None = None) -> np.ndarray:
        """float32 ``[N, K]``."""
        used = self.network if network is None else network
        used.eval()
        own = next(used.parameters(), torch.empty(0))
        return torch.cat([used(self._checked(x.to(own.device, own.dtype))).cpu().float() for x in batches]).numpy()

    def _of_samples(self, batches: Any) -> Predictions:
        """What the network says of samples that are ready; each is a recording of one window."""
        first = (batch[0] if isinstance(batch, list | tuple) else batch for batch in batches)
        logits = self._logits(torch.as_tensor(x) for x in progress.track(first, "predicting", unit="batch"))
        places = np.arange(len(logits))
        zeros, unknown = np.zeros(len(logits), dtype=np.int64), np.full(len(logits), np.nan)
        found = self._outcomes(logits, list(map(str, places)), zeros, unknown, places)
        return Predictions(found, found)

    @property
    def about(self) -> InputDescription:
        """The description.

        Raises:
            InputError: if the run has none.
        """
        if self.description is None:
            raise InputError("input.json: is missing, because an older version wrote the run; only samples are taken")
        return self.description

    @property
    def prepared(self) -> Preparation:
        """How samples are made of recordings.

        Raises:
            InputError: if the run does not say it.
        """
        if self.preparation is None:
            raise InputError(
                "preparation.json: is missing, because the run was given samples, or an older version wrote it; "
                "only samples [N, C, L] are taken"
            )
        return self.preparation

    def _check_unit(self, source: str, unit: str | None) -> str | None:
        """What to say of recordings whose numbers may be others than those of the training."""
        own = self.about.unit
        if unit == own:
            return None
        if unit is not None and own is not None:
            raise InputError(f"{source}: its values are {unit}; the network was trained on {own}")
        return (
            f"{source}: its values are {unit or 'as they are written'}; the network was trained on "
            f"{own or 'values as they are written'}"
        )
