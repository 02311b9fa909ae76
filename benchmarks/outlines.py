"""Which outlines are good on which data: one JSON line for each training of a drawn outline that all readouts share.

    python benchmarks/outlines.py --data FOLDER --rows docs/quality/drawn.jsonl --outlines 8 --workers 2
    python benchmarks/outlines.py --data FOLDER --rows docs/quality/drawn.jsonl --first 8 --outlines 14 --strides 1 2
    python benchmarks/outlines.py --rows docs/quality/drawn.jsonl --report
    python benchmarks/outlines.py --rows docs/quality/drawn.jsonl --prior nas_lightning/search/prior.json

For each ``FOLDER/NAME.npz`` and number an outline is drawn from ``OutlineSpace``, whose width follows from the readout
that is drawn, too; it is trained as in ``readouts.py``, and the head of each readout within the limits is a candidate.
Limits: parameters, and multiply-accumulates a time step, by default a third of those of LITE, a published network of
10,000 parameters. A row has by readout ``[loss on val, accuracy on val, accuracy on test, parameters]``.
"""

import argparse
import json
import os
import statistics
import time
import zlib
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from readouts import Case, Row, Shared, figures, fit, known_rows, sets_in, train_all

PARAMS, MACS_A_STEP = 10_000, 3_300
SHRINKAGE = 60  # trainings of no effect that each value of a factor is given


def train(path: Path, number: int, seed: int, steps: int, params: int, macs: int, strides: list[int]) -> Row:
    """One training; the outline follows from the set and the number."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from nas_lightning.search.derivation import draw_from
    from nas_lightning.space.outlines import OutlineSpace
    from nas_lightning.tasks import Classification

    torch.set_num_threads(1)
    case = Case(path, seed)
    limits = {"params": params, "macs": macs * case.length}
    task = Classification(case.channels, case.length, case.classes)
    space = OutlineSpace(task, limits, {"stride": strides} if strides else {})
    generator = torch.Generator().manual_seed(zlib.crc32(f"{path.stem} {number}".encode()))
    (outline,) = draw_from(space, generator, limits, 1)
    blocks = space.blueprint(outline).blocks
    costs = params_by_readout(blocks, task)
    readouts = [name for name, found in costs.items() if found <= params]
    torch.manual_seed(seed)
    shared = Shared(case, blocks, [len(blocks) - 1], readouts)
    start = time.process_time()
    fit(case, shared, None, seed, steps)
    seconds = time.process_time() - start
    features, heads = [shared.features(x) for x in case.x[1:]], {}
    for key, head in shared.heads.items():
        name = key.partition(" ")[2]
        heads[name] = [*figures([head(part[key]).detach() for part in features], case.y[1:]), costs[name]]
    row = {
        "set": path.stem,
        "number": number,
        "seed": seed,
        "steps": steps,
        "limits": limits,
        "outline": asdict(outline),
    }
    row |= {"channels": [block.channels for block in blocks], "reach": outline.reach, "length": case.length}
    return row | {"macs": space.cost(outline)["macs"], "seconds": round(seconds, 2), "heads": heads}


def params_by_readout(blocks: Any, task: Any) -> dict[str, int]:
    """The parameters of a trunk with each readout that can be deployed."""
    from nas_lightning.cost.exact import cost_of
    from nas_lightning.space.readouts import DEPLOYABLE
    from nas_lightning.space.trunk import TrunkBlueprint

    return {
        name: cost_of(TrunkBlueprint(blocks, task, name).build(), task.in_channels, task.length).params
        for name in DEPLOYABLE
    }


def report(rows: list[Row]) -> None:
    """Mean accuracy over sets of several choices, and what each value of a factor adds to the mean of its set."""
    cases = defaultdict[tuple[str, int], list[Row]](list)
    for row in rows:
        cases[row["set"], row["seed"]].append(row)
    found = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    for (name, _), drawn in cases.items():
        kept = [_kept(row) for row in drawn]
        found["a random outline, readout by val"][name].append(statistics.mean(kept))
        found["a random outline, mean"][name].append(statistics.mean(row["heads"]["mean"][2] for row in drawn))
        found["outline and readout by val"][name].append(min(min(row["heads"].values()) for row in drawn)[2])
        found["the best on test (an oracle)"][name].append(
            max(max(each[2] for each in row["heads"].values()) for row in drawn)
        )
    print(f"{len({name for name, _ in cases})} sets, {len(rows)} trainings")
    for choice, sets in found.items():
        print(f"{choice:34s} {statistics.mean(map(statistics.mean, sets.values())):.3f}")
    for (factor, value), points in sorted(effects(rows).items()):
        if len(points) > 1:
            error = statistics.stdev(points) / len(points) ** 0.5
            print(f"{factor:10s} {value:9s} {statistics.mean(points):+.1f} +- {error:.1f} ({len(points)})")


def _kept(row: Row) -> float:
    """Accuracy on test of the head with the least loss on val."""
    return float(min(row["heads"].values())[2])


def effects(rows: list[Row]) -> dict[tuple[str, str], list[float]]:
    """By factor and value, for each training with it the points above the mean of its set."""
    means = defaultdict[str, list[float]](list)
    for row in rows:
        means[row["set"]].append(_kept(row))
    found = defaultdict[tuple[str, str], list[float]](list)
    for row in rows:
        for factor, value in row["outline"].items():
            found[factor, str(value)].append(100 * (_kept(row) - statistics.mean(means[row["set"]])))
    return found


def prior(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Those effects, drawn towards 0 where there are few trainings; the readout is chosen by each training itself."""
    found = defaultdict[str, dict[str, float]](dict)
    for (factor, value), points in sorted(effects(rows).items()):
        if factor != "readout":
            found[factor][value] = round(sum(points) / (len(points) + SHRINKAGE), 2)
    return found


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of .npz files, or such files")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--outlines", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of an outline of a set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--params", type=int, default=PARAMS)
    parser.add_argument("--macs", type=int, default=MACS_A_STEP, help="a time step")
    parser.add_argument("--strides", type=int, nargs="*", default=[], help="of all blocks together; none: any")
    parser.add_argument("--prior", type=Path, help="a file that is written")
    options = parser.parse_args()
    rows = known_rows(options.rows)
    if options.report:
        report(rows)
        return
    if options.prior is not None:
        options.prior.write_text(json.dumps(prior(rows), indent=2) + "\n")
        return
    paths = sets_in(options.data)
    known = {(row["set"], row["number"], row["seed"], row["steps"]) for row in rows}
    jobs: list[tuple[Any, ...]] = [
        (path, number, options.seed, options.steps, options.params, options.macs, options.strides)
        for number in range(options.first, options.outlines)
        for path in paths
        if (path.stem, number, options.seed, options.steps) not in known
    ]
    train_all(train, jobs, options.workers, options.rows)


if __name__ == "__main__":
    main()
