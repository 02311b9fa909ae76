"""Readers: one module a kind of source; ``open_source`` chooses by what the path holds."""

from pathlib import Path

from nas_lightning import progress
from nas_lightning.data.links import check_file, kind_of
from nas_lightning.data.readers import series
from nas_lightning.data.readers.arrays import read_archive, read_npz
from nas_lightning.data.readers.levels import CLASSES
from nas_lightning.data.readers.used import USED, check_used
from nas_lightning.data.reading import Reading
from nas_lightning.data.recordings import Source
from nas_lightning.errors import InputError

ALLOWED = (
    "a folder with classes/CLASS/*.csv, a .zip of one, a .npz, .mat, .h5 or .hdf5 file, a .ts, .tsv or .arff file, "
    "a .csv, .parquet or .xlsx table, or a saved dataset"
)


_ALSO_TEXT = (".tsv",)
"""Endings of files of series that are those of single recordings as well."""


def open_source(
    name: str | None,
    path: str | None,
    reading: Reading | None = None,
) -> Source:
    """Find the reader for ``path`` if given, else for the UCR/UEA set ``name``.

    Args:
        name: a UCR/UEA data set, for example ``BasicMotions``.
        path: a file or a folder.
        reading: what is known of the way in which it is written.

    Raises:
        InputError: if there is nothing to read, or it is not what a reader expects.
    """
    with progress.step(f"reading {path or name}"):
        return _open(name, path, reading or Reading())


def _open(name: str | None, path: str | None, reading: Reading) -> Source:
    if not path:
        check_used(str(name), reading, ["ts"])
        return read_archive(name)
    place = Path(path)
    try:
        if place.is_dir():
            return _open_folder(place, reading)
        if not place.exists():
            raise InputError(f"`path`: there is no {place}; allowed: {ALLOWED}")
        if (kind := kind_of(place)) is not None:
            raise InputError(f"`path`: {place} is no regular file but {kind}; allowed: {ALLOWED}")
        return _open_file(place, reading)
    except OSError as error:
        raise InputError(f"`path`: {place} cannot be read ({error.strerror or error})") from error


def _open_folder(path: Path, reading: Reading) -> Source:
    from nas_lightning.data.readers.folder import read_folder  # at need, as below: pandas takes long to import
    from nas_lightning.data.readers.saved_dataset import is_saved_dataset, read_saved_dataset

    if is_saved_dataset(path):
        check_used(str(path), reading, ["saved dataset"])
        return read_saved_dataset(path, reading)
    if (path / CLASSES).is_dir():
        return read_folder(path, reading)
    trains = [child for child in sorted(path.iterdir()) if child.suffix[1:].lower() in series.READERS]
    pairs = [child for child in trains if series.find_pair(child)]
    if len({child.stem.lower() for child in pairs}) == 2:
        check_file(pairs[0], path, str(path))
        check_used(str(path), reading, [pairs[0].suffix[1:].lower()])
        return series.read_series(pairs[0], reading)
    if pairs or any(child.suffix.lower() not in _ALSO_TEXT for child in trains):
        raise InputError(
            f"{path}: has {len(trains)} files of series; allowed in a folder: one pair NAME_TRAIN and NAME_TEST, "
            "else give the path of a file"
        )
    return read_folder(path, reading)


def _open_file(path: Path, reading: Reading) -> Source:
    ending = path.suffix[1:].lower()
    if not reading.is_labelled and _is_recording(path, ending, reading):
        from nas_lightning.data.readers.folder import read_file

        return read_file(path, reading)
    kind = f"{ending} table" if ending in ("csv", "parquet", "xlsx") else ending
    if kind in USED:
        check_used(str(path), reading, [kind])
    if ending == "npz":
        return read_npz(path, reading)
    if ending == "zip":
        from nas_lightning.data.readers.folder import read_zip

        return read_zip(path, reading)
    if ending in series.READERS:
        return series.read_series(path, reading)
    if ending in ("mat", "h5", "hdf5", "xlsx"):
        from nas_lightning.data.readers.extras import read_stored, read_workbook

        return (read_workbook if ending == "xlsx" else read_stored)(path, reading)
    if ending in ("csv", "parquet"):
        from nas_lightning.data.readers.table import read_table

        return read_table(path, reading)
    raise InputError(f"`path`: {path} is of no known kind; allowed: {ALLOWED}")


def _is_recording(path: Path, ending: str, reading: Reading) -> bool:
    """Whether a file whose class is not looked at is one recording, and not a source of several."""
    if ending in ("txt", "npy", "wav"):
        return True
    if ending in ("mat", "h5", "hdf5"):
        from nas_lightning.data.readers.extras import holds_series

        return not holds_series(path)
    if ending == "csv" and not reading.series_per_line and reading.recording_ends is None:
        from nas_lightning.data.readers.table_unlabelled import is_table
        from nas_lightning.data.readers.table_wide import is_evident
        from nas_lightning.data.readers.text_layout import find_layout

        layout = find_layout(path, str(path), reading)
        is_wide = reading.variables is None and is_evident(path, layout, reading)
        return not (is_wide or is_table(layout.header, reading))
    return False
