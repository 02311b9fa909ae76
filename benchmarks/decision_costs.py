"""What the C of decisions takes on each core: bytes of flash, as linked.

    python benchmarks/decision_costs.py --write nas_lightning/cost/decisions.json

One JSON line a core and kind of decision. The bytes are the most over several numbers of classes, of whose loops the
compiler makes other code, and over few and many windows; the file has them with the margin that ``fit_cores.py`` gives
to all code. Memory follows from the type of the state, and ``cost.decision`` computes it.
"""

import argparse
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from fit_cores import MARGIN

from nas_lightning.export import emulator, host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.decision import decision_sources
from nas_lightning.export.firmware import copy_templates
from nas_lightning.export.texts import header
from nas_lightning.files import write_json
from nas_lightning.tasks import Classes
from nas_lightning.tasks.decisions import METHODS, Decision, Smoothing

_CLASSES, _WINDOWS = (2, 3, 4, 12), (3, 20)


def _decisions() -> Iterator[tuple[str, list[Decision]]]:
    """The kinds of ``cost.decision``, each with some numbers of windows."""
    for threshold, method in itertools.product((None, 0.6), ("none", *METHODS)):
        smoothings = [None] if method == "none" else [Smoothing(method, windows) for windows in _WINDOWS]
        made = [Decision(0.7, threshold, smoothing) for smoothing in smoothings]
        if made[0].has_code:
            yield method if threshold is None else f"{method} with threshold", made


def _linked_bytes(core: str, decision: Decision, classes: int, chain: int) -> int:
    """Code, constants and initial values of a linked program."""
    about = InputDescription(
        *("0", "0", Classes(tuple(map(str, range(classes))))),
        **{"channels": ("x",), "window": 1, "stride": 1, "offsets": (0.0,), "temperature": decision.temperature},
        **{"threshold": decision.threshold, "postprocess": decision.smoothing},
    )
    with TemporaryDirectory() as name:
        folder = Path(name) / "firmware"
        copy_templates(folder, about.outputs.in_c)
        (folder / "model.h").write_text(header(1, 1, False, about, ""))
        for file, text in decision_sources(about).items():
            (folder / file).write_text(text)
        text, data = (
            host.make(folder, Path(name) / "build", "elf", MODEL=host.EMPTY, CORE=core, CHAIN=chain)
            .splitlines()[-1]
            .split()[:2]
        )  # as ``size`` prints them
    return int(text) + int(data)


def main() -> None:
    """Print the rows, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    path, table = parser.parse_args().write, {core: {} for core in emulator.CORES}
    for core in table:
        empty = _linked_bytes(core, Decision(), 2, host.NETWORK)
        for kind, decisions in _decisions():
            chain = host.WINDOW if decisions[0].smoothing is None else host.STREAM
            pairs = itertools.product(decisions, _CLASSES)
            sizes = [_linked_bytes(core, *pair, chain) - empty for pair in pairs]
            table[core][kind] = math.ceil(max(sizes) * MARGIN)
            print(json.dumps({"core": core, "kind": kind, "least": min(sizes), "most": max(sizes)}), flush=True)
    if path is not None:
        write_json(path, table)


if __name__ == "__main__":
    main()
