"""ONNX Runtime; as a script it runs models in a process of its own, which imports nothing else and can be limited."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

OPTIMIZED, AS_IT_IS = "optimized", "as-it-is"
"""Whether the script merges operators."""


def open_session(
    model: Path | bytes, *, optimize: bool = True, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, without its advice on the terminal.

    Args:
        model: the file, or its content.
        optimize: whether operators are merged.
        threads: within an operator; None leaves it to ONNX Runtime.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Else int8 becomes uint8 on x86, and some operators of a QDQ file are then computed in float.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _main(how: str, model: str, samples: str, logits: str) -> None:
    """Write the first output of a model for each sample of a file."""
    try:
        content = Path(model).read_bytes()  # as bytes, so that no file beside it is read
        session = open_session(content, optimize=how == OPTIMIZED, threads=1)
        np.save(logits, np.concatenate([session.run(None, {"x": x[None]})[0] for x in np.load(samples)]))
    except Exception as error:  # ONNX Runtime raises its own kinds
        sys.exit(str(error) or type(error).__name__)


if __name__ == "__main__":
    _main(*sys.argv[1:])
