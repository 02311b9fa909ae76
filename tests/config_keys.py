"""Every key of the configuration, found by listing, and values that somebody could write there.

A ``Place`` is a key in a composition in which it matters: the defaults, or those with an option of a group that brings
the key. A case is a place and one of ``VALUES``.
"""

import gc
import itertools
import logging
import multiprocessing
import resource
import signal
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from unittest import mock

import numpy as np
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.compose import compose_config, conf_dir, one_sentence, register_records, to_config
from nas_lightning.config.keys import merge_overrides
from nas_lightning.data import datamodule
from nas_lightning.data.augment import AUGMENTATIONS
from nas_lightning.data.features import STEPS
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError
from nas_lightning.runs.context import Run
from nas_lightning.runs.costs import check_fit
from nas_lightning.runs.pipeline import check_start

VALUES = ("null", "-1", "1000000000", "abc", "nan")
_CHUNK = 20
_MOST_MEMORY = 8 << 30  # of addresses; a process that has imported torch has some 4 GiB of them

MORE_VALUES = ("0", "[1,2]", "1e9", "inf", "true", "1.5")

FEATURES = "data_processing_feature_extraction"
ALIASES = {
    "common.task_type": "task_type",
    "training.nas_model_size": "nas_model_size",
    f"{FEATURES}.feature_extraction_name": "features",
}
"""Keys of the guide that pick an option of a group: the group is named."""

NEEDS_DATA = {
    *("dataset.input_data_path", "dataset.annotations", "dataset.group_pattern", "training.batch_size"),
    *(f"{FEATURES}.variables", f"{FEATURES}.new_sr", f"{FEATURES}.scale"),
    *(f"dataset.{field.name}" for field in fields(Reading) if field.name not in ("columns", "variables")),
}
"""Keys of which only the data can say whether a value of the right kind fits."""

SAYS_WHAT_IS_ALLOWED = r"allowed|\bneeds?\b|instead|Available options"
GROUPS = ("search", "optimizer", "scheduler", "model", "logger", "callbacks", "trainer", "data")
"""Groups whose options call constructors, so that an option can bring keys; each fills the section of its name."""


@dataclass(frozen=True)
class Place:
    """A key, the overrides that make it matter, how Hydra is told to set it (``+`` where it is not there
    yet), and the dotted name of the class that it is an argument of.
    """

    key: str
    base: tuple[str, ...] = ()
    prefix: str = ""
    target: str = ""

    @property
    def name(self):
        return " ".join([*self.base, self.key])

    def override(self, value):
        return f"{self.prefix}{self.key}={value}"


@cache
def composition(base):
    """What Hydra composes of overrides, before anything is resolved; not to be changed."""
    register_records()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", list(base))


def composed_with(base, override):
    """The same with one override more, as Hydra applies it in the end, in a twentieth of the time."""
    content = composition(base).copy()
    OmegaConf.set_struct(content, True)
    parsed = OverridesParser.create().parse_overrides([override])
    ConfigLoaderImpl._apply_overrides_to_config(parsed, content)
    return content


def leaves(content, prefix="", target=""):
    """Dotted keys with the target of the record that they belong to; an empty section is a leaf, too."""
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{key}.", value.get("_target_", target))
        else:
            yield key, target


@cache
def places():
    """All keys, but those of the front end with its steps switched on."""
    found, seen = [], set()
    for base in bases():
        of_base = OmegaConf.to_container(composition(base), resolve=False)
        section = base[0].partition("=")[0] if base else None
        for key, target in leaves(of_base):
            if (section is None or key.split(".")[0] == section) and (key, target) not in seen:
                seen.add((key, target))
                found.append(Place(key, base, target=target))
    for name, kind in AUGMENTATIONS.items():
        given = {"Crop": ("+augmentation.Crop.size=32",), "Resize": ("+augmentation.Resize.size=32",)}
        for field in fields(kind):
            base = given.get(name, ()) if field.name != "size" else ()
            found.append(Place(f"augmentation.{name}.{field.name}", base, "+"))
    return found


def front_end_places():
    """The keys of the front end, with its steps switched on."""
    names = [name for name in composition(())[FEATURES] if name != "feature_extraction_name"]
    return [Place(f"{FEATURES}.{name}", base) for base in feature_bases() for name in names]


def bases():
    """The defaults, and each option of a group on top of them."""
    yield ()
    for group in GROUPS:
        for path in files(group):
            if path.stem not in ("mlflow", "wandb"):  # their arguments are checked by packages of others
                yield (f"{group}={path.stem}", *(["training.nas_enabled=false"] if group == "model" else []))


def files(group):
    """The files of the options of a group."""
    return sorted((conf_dir() / group).glob("*.yaml"))


def feature_bases():
    """Presets, and lists of steps, that switch on every step between them."""
    left = set(STEPS)
    presets = {path.stem: composition((f"features={path.stem}",))[FEATURES] for path in files("features")}
    presets = {name: preset for name, preset in presets.items() if preset.frame_size}

    def worth(name):
        preset = presets[name]
        return len(set(preset.feat_ext_transform) & left), -preset.frame_size * preset.num_frame_concat

    while worth(best := max(presets, key=worth))[0]:
        left -= set(presets[best].feat_ext_transform)
        yield (f"features={best}",)
    yield (f"{FEATURES}.feat_ext_transform=[{','.join(sorted(left))}]", f"{FEATURES}.frame_size=32")


def write_data(folder):
    """A tiny data set of three classes for most keys, and one of longer recordings for front ends; returns paths."""
    paths = {}
    for name, rows, count in (("short", 32, 10), ("long", 3000, 8)):
        random = np.random.default_rng(0)
        y = np.repeat([0, 1, 2], count)
        waves = np.sin(np.arange(rows) * (y[:, None, None] + 1) / 3 + random.uniform(0, 6, (len(y), 2, 1)))
        x = np.round(100 * waves + random.normal(0, 10, (len(y), 2, rows))).astype(np.float32)
        train = np.arange(len(y)) % 4 > 0
        content = {"X_train": x[train], "y_train": y[train], "X_test": x[~train], "y_test": y[~train]}
        np.savez(folder / f"{name}.npz", **content)
        paths[name] = folder / f"{name}.npz"
    return paths


@dataclass(frozen=True)
class Outcome:
    """What became of a start or a run.

    Attributes:
        kind: ``accepted``, ``refused`` (in one sentence), or what went wrong: the name of an exception.
        text: the sentence, or the last lines of the traceback.
        has_read: whether data were opened.
        seconds: that it took.
    """

    kind: str
    text: str
    has_read: bool
    seconds: float

    @property
    def is_wrong(self):
        return self.kind not in ("accepted", "refused")


def start(place, value, paths, folder):
    """All that comes before a run folder is made, as the command line does it."""
    read = []

    def open_and_tell(*arguments):
        read.append(arguments)
        return open_source(*arguments)

    begin = time.perf_counter()
    kind, text = "accepted", ""
    with mock.patch.object(datamodule, "open_source", open_and_tell):
        try:
            config = configured(place, value, paths)
            run = Run(config, check_start(config, folder, None), folder)
            check_fit(run)
        except (InputError, HydraException, OmegaConfBaseException) as error:
            kind, text = "refused", one_sentence(error)
        except Exception as error:
            kind, text = type(error).__name__, traceback.format_exc(limit=-4)
    return Outcome(kind, text, bool(read), time.perf_counter() - begin)


def configured(place, value, paths):
    """The configuration with a value at a place, on a tiny data set."""
    base = _base_of(place, paths)
    (override,) = merge_overrides({}, [place.override(value)])
    if place.key in ALIASES:
        return compose_config([*base, override])
    return to_config(composed_with(base, override))


def is_long(place):
    """Whether a place needs the recordings of the longer data set."""
    return any(FEATURES in each or each.startswith("features=") for each in place.base)


def is_null(place):
    """Whether null stands there already."""
    return not place.prefix and OmegaConf.select(composition(place.base), place.key) is None


def _base_of(place, paths):
    fixed = {"dataset.input_data_path": paths["long" if is_long(place) else "short"], "training.batch_size": 4}
    return (*(f"{key}={text}" for key, text in fixed.items() if key != place.key), *place.base)


def start_all(cases, folder, seconds=3.0):
    """The outcomes of many starts, in two processes; one that takes more of the processor is said to hang."""
    paths, chunks = write_data(folder), [cases[at : at + _CHUNK] for at in range(0, len(cases), _CHUNK)]
    for place, _ in cases:
        composition(_base_of(place, paths))  # made here, it is there in both processes
    gc.collect()
    gc.freeze()  # what the libraries have made is not looked at again: a third of the time
    arguments = [(chunk, paths, folder / "run", seconds) for chunk in chunks]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork"), _prepare) as pool:
            found = itertools.chain.from_iterable(pool.map(_start_chunk, arguments))
            return dict(zip(cases, found, strict=True))


def _prepare():
    signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, resource.RLIM_INFINITY))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def _start_chunk(arguments):
    chunk, paths, folder, seconds = arguments
    found = []
    for place, value in chunk:
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            found.append(start(place, value, paths, folder))
        except _HangsError:
            found.append(Outcome("Hangs", f"more than {seconds} seconds", False, seconds))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return found


class _HangsError(BaseException):
    """Not caught by what catches every Exception."""


def _stop(signum, frame):
    raise _HangsError
