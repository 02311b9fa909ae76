"""Write the schemas that are shipped: ``make schemas``, or ``python -m nas_lightning.schemas`` in a checkout."""

from pathlib import Path

from nas_lightning.files import write_json
from nas_lightning.schemas import NAMES, file_of, generated

if __name__ == "__main__":
    for name in NAMES:
        write_json(Path(__file__).with_name(file_of(name)), generated(name))
