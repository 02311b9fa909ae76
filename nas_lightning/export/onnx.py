"""ONNX export, and the proof that the file computes what the network computes."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, helper
from torch import Tensor, nn

from nas_lightning.errors import ParityError
from nas_lightning.export.allowed import without_notes
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.nodes import to_graph
from nas_lightning.export.opset import OPSET, at_opset
from nas_lightning.export.parity import NOTEWORTHY, TOLERANCE, relative_difference
from nas_lightning.export.session import open_session
from nas_lightning.graph.trace import trace

__all__ = ["NOTEWORTHY", "TOLERANCE", "check_parity", "described", "front_end_to_onnx", "relative_difference"]
__all__ += ["run_onnx", "to_onnx"]


def described(model: ModelProto, description: InputDescription) -> ModelProto:
    """The same in the opset of the description, and with what it takes in ``metadata_props``.

    Raises:
        InputError: if it has no form in that opset.
    """
    made = at_opset(model, description.opset or OPSET)
    del made.metadata_props[:]  # of the quantization
    helper.set_model_props(made, description.metadata())
    return made


def to_onnx(network: nn.Module, shape: Sequence[int]) -> ModelProto:
    """A network for one sample of ``shape``, with BatchNorm and input normalisation folded in, in ``OPSET``.

    Raises:
        InputError: for a layer that has no form here.
    """
    graph = to_graph(trace(network.cpu(), *shape))
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        graph,
        opset_imports=opset,
        ir_version=helper.find_min_ir_version_for(opset),
        producer_name="nas_lightning",
        producer_version=version("nas-lightning"),
    )


def front_end_to_onnx(front_end: nn.Module, shape: Sequence[int]) -> ModelProto:
    """A front end for rows ``shape``, which is no graph of layers: PyTorch's own exporter writes it."""
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # it warns that torchvision is missing, which nothing here uses
    with warnings.catch_warnings():
        # The exporter's own calls into copyreg and onnxscript warn; nothing here can act on it.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            front_end.cpu(),
            (torch.zeros(1, *shape),),
            dynamo=True,
            verbose=False,
            input_names=["x"],
            output_names=["features"],
            opset_version=OPSET,
        )
    assert program is not None  # nosec B101 # for mypy: with dynamo=True there is a program
    return without_notes(program.model_proto)  # they are lines of source and the places of files on this machine


def run_onnx(model: Path | bytes, samples: Iterable[Tensor]) -> Tensor:
    """Logits ``[N, K]`` of ONNX Runtime on batches of samples, one sample at a time."""
    session = open_session(model)
    logits = [session.run(None, {"x": sample[None].numpy()})[0] for batch in samples for sample in batch]
    return torch.from_numpy(np.concatenate(logits))


def check_parity(path: Path, samples: Iterable[Tensor], expected: Tensor, rounding: float = 0.0) -> float:
    """The largest difference between the file's logits and those of the network.

    Float32 rounds both the network and the file, by a share of the largest values they compute with; so the measure is
    the network in float64, and a difference is taken relative to the sample's largest logit, if that is above 1.

    Args:
        path: the file.
        samples: batches of samples.
        expected: float64 ``[N, K]``, the network's logits computed in float64.
        rounding: the difference of the trained network itself, computed in float32.

    Raises:
        ParityError: if it is above ``TOLERANCE``, and above four times ``rounding``.
    """
    difference = relative_difference(run_onnx(path, samples).numpy(), expected.numpy())
    allowed = max(TOLERANCE, 4 * rounding)
    if not difference <= allowed:
        raise ParityError(f"{path}: differs from the network by {difference:.2g}; allowed: {allowed:.2g}")
    return difference
