"""The text of `nas-lightning --help`. Hydra's own is correct too, and takes a second to read every option's file."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

_HEADER = """\
Differentiable architecture search for tiny 1-D CNN time-series classifiers.

Usage: nas-lightning [FILE.yaml] [group=option ...] [key=value ...]

Groups and their options:
"""
_FOOTER = """
Examples:
  nas-lightning nas_model_size=m                       search, derive, train, test, export
  nas-lightning dataset.input_data_path=my_data.npz    your own recordings
  nas-lightning -m nas_model_size=s,m seed=0,1         a sweep, with one table at the end
  nas-lightning my_config.yaml                         a YAML in the layout of the user guide
  nas-lightning --config-dir FOLDER nas_model_size=my  options of your own
  nas-lightning resume=outputs/DATE/TIME               go on with a run that was stopped
  nas-lightning inspect dataset.input_data_path=FOLDER what a search would get: classes, ranges, pictures, warnings
  nas-lightning report outputs/DATE/TIME               the page of a run once more, or a page that compares a sweep
  nas-lightning predict RUN FOLDER out=classes.csv     the class of each window of new recordings
  nas-lightning evaluate RUN FOLDER                    how good a network is on other recordings, and what differs
  nas-lightning devices                                the device cards
  nas-lightning verify deploy.zip                      the proofs of an archive once more
  nas-lightning card RUN                               the model card of a run
  nas-lightning nas_model_size=s output=json           one JSON object on stdout, of any command
  nas-lightning --cfg job                              all keys and their values
  nas-lightning --hydra-help                           flags of Hydra"""


def help_text(folders: Iterable[Path]) -> str:
    """Usage, groups and examples.

    Args:
        folders: with a folder for each group, in which each file is an option.
    """
    groups: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in folder.glob("*/*.yaml")):
        groups.setdefault(path.parent.name, set()).add(path.stem)
    lines = (f"{group}: {', '.join(sorted(groups[group], key=str.lower))}" for group in sorted(groups))
    wrapped = (textwrap.fill(line, 100, subsequent_indent="    ", break_on_hyphens=False) for line in lines)
    return _HEADER + "\n".join(wrapped) + "\n" + _FOOTER
