"""Which keys say something of which kind of source; the others would change nothing, and are refused."""

from collections.abc import Iterable
from dataclasses import fields

from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError, brief

_EVERYWHERE = frozenset(
    ("columns", "variables", "similar_labels", "offset", "is_labelled", "is_for_use", "unknown", "may_lack")
)
_TIMES = frozenset(("time_unit", "day_first", "clock", "gaps"))
_TEXT = _TIMES | {"header", "skip_rows", "delimiter", "decimal"}
_CUTS = frozenset(("recording_ends", "series_per_line"))
_ARRAYS = (_TIMES - {"day_first"}) | {"axes", "npy_time"}

FOLDERS = frozenset(("levels", "label_pattern", "labels"))
"""What says something of a folder of recordings, whatever they are."""

USED: dict[str, frozenset[str]] = {
    "csv table": _TEXT | _CUTS,
    "parquet table": _TIMES | _CUTS,
    "xlsx table": _TIMES | _CUTS | {"skip_rows"},
    "tsv": frozenset(("header",)),
    **dict.fromkeys(("npz", "mat", "h5", "hdf5", "saved dataset"), frozenset(("axes",))),
    **dict.fromkeys(("ts", "arff"), frozenset()),
    **dict.fromkeys(("csv files", "txt files", "tsv files"), _TEXT),
    "xlsx files": _TIMES | {"header", "skip_rows"},
    "npy files": _ARRAYS,
    **dict.fromkeys(("mat files", "h5 files", "hdf5 files"), _ARRAYS | {"array"}),
    "wav files": frozenset(),
}
"""By kind of source: the fields of ``Reading`` that its reader looks at, besides those that hold everywhere."""


def check_used(shown: str, reading: Reading, kinds: Iterable[str], also: frozenset[str] = frozenset()) -> None:
    """Refuse what says something of another kind of source.

    Args:
        shown: the source, for messages.
        reading: what the user says.
        kinds: keys of ``USED``.
        also: further fields that are looked at.

    Raises:
        InputError: naming the key.
    """
    if reading.is_for_use:
        return
    kinds = sorted(set(kinds))
    used = _EVERYWHERE.union(also, *(USED[kind] for kind in kinds))
    for field in fields(reading):
        found = getattr(reading, field.name)
        if field.name not in used and found != field.default:
            what = "another kind of source" if not kinds else ", ".join(kinds)
            raise InputError(
                f"`{field.name}`: found {brief(found)}, which changes nothing for {shown} ({what}); allowed: "
                f"{'null' if field.default is None else field.default}"
            )
