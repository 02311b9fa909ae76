"""ONNX export, and the proof that the file computes what the network computes."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from nas_lightning.files import write_bytes
from nas_lightning.space.fold import fold

TOLERANCE = 1e-4
"""Largest difference of a logit between torch and ONNX Runtime."""


class ParityError(RuntimeError):
    """The exported file does not compute what the network computes."""


def export_onnx(network: nn.Module, shape: Sequence[int], path: Path) -> None:
    """Write ``network`` as ONNX for one sample of ``shape``, with BatchNorm and input normalisation folded in."""
    example = torch.zeros(1, *shape)
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # it warns that torchvision is missing, which nothing here uses
    with warnings.catch_warnings():
        # The exporter's own calls into copyreg and onnxscript warn; nothing here can act on it.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            fold(network.cpu()), (example,), dynamo=True, verbose=False, input_names=["x"], output_names=["logits"]
        )
    assert program is not None
    write_bytes(path, program.model_proto.SerializeToString())


def run_onnx(path: Path, samples: Iterable[Tensor]) -> Tensor:
    """Logits ``[N, K]`` of ONNX Runtime on batches of samples, one sample at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"x": sample[None].numpy()})[0] for batch in samples for sample in batch]
    return torch.from_numpy(np.concatenate(logits))


def check_parity(path: Path, samples: Iterable[Tensor], expected: Tensor) -> float:
    """The largest difference between the file's logits and ``expected`` [N, K], relative to logits above 1.

    Raises:
        ParityError: if it is above ``TOLERANCE``.
    """
    difference = float(((run_onnx(path, samples) - expected).abs() / expected.abs().clamp(min=1)).max())
    if not difference <= TOLERANCE:
        raise ParityError(f"{path}: differs from the network by {difference:.2g}; allowed: {TOLERANCE}")
    return difference
