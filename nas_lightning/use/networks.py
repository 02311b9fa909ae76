"""The network of a run by each of its files, as a module that maps samples to logits."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_lightning.errors import InputError
from nas_lightning.export.confined import MOST_BYTES, run_confined

FILES: Mapping[str, str] = MappingProxyType({"torch": "model.pt", "onnx": "model.onnx", "int8": "model_int8.onnx"})
"""By backend, the file that is computed with."""


class OnnxNetwork(nn.Module):
    """An ONNX file of a run; it holds no parameters, and gives no gradients.

    Args:
        path: of the file.
        outputs: how many logits there are.
        is_trusted: whether it runs in this process; else it runs within limits, in one of its own for each call.

    Raises:
        InputError: if it holds what is never written here.
    """

    def __init__(self, path: Path, outputs: int, is_trusted: bool) -> None:
        super().__init__()
        from nas_lightning.export.allowed import read_model  # at need, as below: ONNX is not needed for torch

        read_model(path.parent, path.name, MOST_BYTES)
        self.path, self.outputs, self.is_trusted = path, outputs, is_trusted
        self._content = path.read_bytes()
        self._session: Any = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]`` of samples ``[B, C, L]``, one after the other: the file takes one."""
        samples = x.detach().cpu().float().numpy()
        if not len(samples):
            return torch.empty(0, self.outputs)
        logits = (
            self._in_process(samples) if self.is_trusted else run_confined(self.path.parent, self.path.name, samples)
        )
        if logits.shape != (len(samples), self.outputs):
            raise InputError(
                f"{self.path.name}: gives values of shape {list(logits.shape)}; allowed: {self.outputs} for each sample"
            )
        return torch.from_numpy(np.ascontiguousarray(logits))

    def _in_process(self, samples: np.ndarray) -> np.ndarray:
        if self._session is None:
            from nas_lightning.export.session import open_session

            self._session = open_session(self._content)
        return np.concatenate([self._session.run(None, {"x": sample[None]})[0] for sample in samples])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_session": None}
