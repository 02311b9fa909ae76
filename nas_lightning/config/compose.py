"""Composition: overrides in, a typed ``Config`` out."""

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigTypeError, OmegaConfBaseException, ValidationError

from nas_lightning.config.arguments import allowed
from nas_lightning.config.keys import (
    check_key,
    check_run_name,
    check_values,
    escaped,
    flatten,
    key_types,
)
from nas_lightning.config.records import Config, Device, FeatureExtraction, schema, with_values
from nas_lightning.config.targets import check_targets, trusted_config_dirs
from nas_lightning.config.typed import quoted
from nas_lightning.errors import InputError, brief
from nas_lightning.files import damage, read_yaml

_PATHS = {"input_data_path": "path", "annotations": "annotations"}
"""Keys of ``dataset`` that name places, and the arguments of the group ``data`` that take them."""

PLACES = {f"dataset.{key}": argument for key, argument in _PATHS.items()}
"""The same, in full."""

_OF_RECORDINGS = ("variables", "sampling_rate", "new_sr", "anti_alias", "keep_short_tails", "scale")
"""Keys of the feature extraction that say something of the recordings, whatever is made of them."""

LIMITS = tuple(f"budget.{name}" for name in ("params", "macs", "flash_bytes", "ram_bytes", "latency_ms"))
"""Keys that limit a network."""

_WHAT_IS_SEARCHED = frozenset({"nas_model_size", "experiment", "init_from", "model"})
_OF_OUTLINES = frozenset({"search.prior", "search.num_seeds", "search.vote"})
_OF_CELLS = (
    *("search.", "model.", "space.ops", "space.shape", "space.readout", "space.post_reduction_stride", "space.auto_"),
    *(f"training.nas_{name}" for name in ("model_size", "layers", "nodes", "init", "fanout", "epochs", "steps")),
)
"""Keys, or what they start with, that say what is searched."""

_ADDED = ("init_from",)
"""Keys that the ``config.yaml`` of an older version does not have."""


def conf_dir() -> Path:
    """The folder of the configuration files: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parent / "conf"


def options_of(group: str, config_dirs: Iterable[str] = ()) -> list[str]:
    """The options of a group: those of the package, and of folders of the user's own."""
    folders = [conf_dir(), *map(Path, config_dirs)]
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


@cache
def device_cards(config_dirs: tuple[str, ...] = ()) -> list[Device]:
    """The cards of the group ``target_device``, by name."""
    options = (
        _option("target_device", name, "device", config_dirs) for name in options_of("target_device", config_dirs)
    )
    cards = [OmegaConf.to_object(OmegaConf.merge(schema(Device), content)) for content in options]
    return sorted(cast(list[Device], cards), key=lambda card: card.name.lower())


def reference_model(name: str, config_dirs: Iterable[str] = ()) -> dict[str, Any]:
    """A hand-made network of the group ``model``.

    Raises:
        InputError: if it cannot be composed.
    """
    return cast(dict[str, Any], _option("model", name, "model", config_dirs))


def _option(group: str, name: str, section: str, config_dirs: Iterable[str]) -> Any:
    """What an option of a group makes of a section; Hydra composes those of the user's own, which takes longer."""
    path = conf_dir() / group / f"{name}.yaml"
    if path.exists():
        return OmegaConf.to_container(OmegaConf.load(path))
    return getattr(compose_config([f"{group}={name}"], config_dirs), section)


def with_features(config: Config, name: str) -> Config:
    """The same configuration with another preset of ``features``; what describes the recordings stays as it is.

    Raises:
        InputError: if there is no such preset.
    """
    if name == config.data_processing_feature_extraction.feature_extraction_name:
        return config
    own = asdict(config.data_processing_feature_extraction)
    preset = asdict(compose_config([f"features={name}"], config.common.config_dirs).data_processing_feature_extraction)
    chosen = preset | {key: own[key] for key in _OF_RECORDINGS if own[key] is not None or key == "variables"}
    data = copy.deepcopy(config.data)
    data["front_end"] |= {key: chosen[key] for key in data["front_end"] if key in chosen}
    return replace(config, data_processing_feature_extraction=FeatureExtraction(**chosen), data=data)


def with_size(overrides: list[str]) -> list[str]:
    """The same, with outlines where there is something to use, a budget or a device, and nothing says what to search.

    >>> with_size(["budget.params=900"]), with_size(["budget.params=900", "nas_model_size=s"])
    (['budget.params=900', 'nas_model_size=auto'], ['budget.params=900', 'nas_model_size=s'])
    """
    words = [override.lstrip("+").partition("=")[::2] for override in overrides]
    given = {key: value for key, value in words if value != "null"}
    nulls = {key for key, value in words if value == "null"}
    if any(_says_what_is_searched(key, value) for key, value in given.items()):
        return overrides
    limits = [value for key, value in given.items() if key in (*LIMITS, "device.flash_bytes", "device.ram_bytes")]
    devices = given.get("target_device", "none").split(",")  # several, of a sweep
    has_limit = any("null" not in value.split(",") for value in limits)
    return (
        [*overrides, "nas_model_size=auto"] if has_limit or all(_has_memory(d, nulls) for d in devices) else overrides
    )


def _says_what_is_searched(key: str, value: str) -> bool:
    if key == "training.nas_enabled":
        return value.lower() == "false"
    if key == "search":
        return value != "outlines"
    return key in _WHAT_IS_SEARCHED or (key.startswith(_OF_CELLS) and key not in _OF_OUTLINES)


def _has_memory(device: str, nulls: set[str]) -> bool:
    """Whether the card of a device says how much memory it has; one of the user's own is taken to say it."""
    path = conf_dir() / "target_device" / f"{device}.yaml"
    card = read_yaml(path) if path.exists() else None
    memories = [name for name in ("flash_bytes", "ram_bytes") if f"device.{name}" not in nulls]
    return bool(memories) if card is None else any(card.get(name) is not None for name in memories)


def register_records() -> None:
    """Make the typed records known to Hydra, as the first entry of the defaults list."""
    ConfigStore.instance().store(name="base_config", node=schema(Config))


def compose_config(overrides: list[str], config_dirs: Iterable[str | Path] = ()) -> Config:
    """Compose as the command line does, also inside a program that runs Hydra itself.

    Args:
        overrides: as on the command line.
        config_dirs: folders with groups and options of the user's own.

    Raises:
        InputError: for an override that Hydra refuses.
    """
    overrides = with_size(overrides)
    check_values(overrides)
    register_records()
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            own = ",".join(quoted(f"file://{Path(folder).absolute()}") for folder in config_dirs)
            search_path = [f"hydra.searchpath=[{own}]"] if own else []
            composed = compose("config", [*overrides, *search_path], return_hydra_config=True)
            return to_config(composed, composed.hydra.runtime.config_sources)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(one_sentence(error)) from error
    finally:
        GlobalHydra.instance().hydra = outer


def one_sentence(error: Exception) -> str:
    """Hydra's message without its advice, and the first line of what caused it; of a wrong type what is allowed."""
    if sentence := _of_wrong_type(error):
        return sentence
    text = str(error).split("Config search path")[0].split("To append")[0]
    if isinstance(error, HydraException) and error.__cause__:
        text = text.strip().rstrip(".") + ": " + str(error.__cause__).split("\n")[0]
    return " ".join(text.split())


def _of_wrong_type(error: Exception) -> str | None:
    cause, (merging, _, override) = error.__cause__, str(error).split("\n")[0].partition("override ")
    if not isinstance(cause, ValidationError | ConfigTypeError) or not merging.startswith("Error merging"):
        return None
    key, _, found = override.lstrip("+").partition("=")
    hint = key_types().get(key, dict)
    return f"{key}: found {brief(found)}; allowed: {'its keys' if is_dataclass(hint) else allowed(key, hint)}"


@cache
def data_links() -> dict[str, str]:
    """The keys of the group ``data`` that follow another one, and which."""
    return dict(_links(OmegaConf.to_container(OmegaConf.load(conf_dir() / "data" / "default.yaml")), "data"))


def in_keys(text: str, section: str) -> str:
    """A sentence of the library, in which arguments stand in backticks, with the keys of a section in their place.

    A part knows its arguments, and not under which keys a configuration keeps them.

    >>> in_keys("`weight`: found -1; allowed: 0 or more", "search.penalties.mine")
    'search.penalties.mine.weight: found -1; allowed: 0 or more'
    >>> in_keys("`gaps`=keep reaches over it", "data")
    'dataset.gaps=keep reaches over it'
    """
    is_data = section.partition(".")[0] == "data"
    sources = {follower.rpartition(".")[2]: source for follower, source in data_links().items()} if is_data else {}

    def key(found: re.Match[str]) -> str:
        name, dot, rest = found[1].partition(".")
        own = found[0] if section == "data" else f"{section}.{found[1]}"  # a text of the data can have such signs
        return sources[name] + dot + rest if name in sources else own

    return re.sub(r"`([a-z_]\w*(?:\.\w+)*)`", key, text)


def _links(content: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _links(value, f"{key}.{name}")
    elif str(content).startswith("${"):
        yield key, content[2:-1]


def to_config(composed: DictConfig, sources: Iterable[Any] = ()) -> Config:
    """Resolve and leave OmegaConf: from here on the configuration is plain records; paths become absolute.

    Args:
        composed: by Hydra.
        sources: where Hydra looked for it; what is no folder of the package is kept as ``common.config_dirs``.
    """
    own = OmegaConf.masked_copy(composed, [key for key in Config.__dataclass_fields__ if key in composed])
    config = _to_record(cast(dict[str, Any], OmegaConf.to_container(own, resolve=True)))
    if config.common.config_dirs:
        raise InputError("common.config_dirs: is what --config-dir gives; allowed: no other value")
    folders = [source.path for source in sources if source.schema == "file" and source.provider != "main"]
    config = with_values(config, {"common.config_dirs": list(dict.fromkeys(folders))})
    check_run_name(config.common.run_name)
    if config.init_from:
        config = with_values(config, {"init_from": str(Path(config.init_from).absolute())})
    for key, argument in _PATHS.items():
        if path := getattr(config.dataset, key):
            absolute = str(Path(path).absolute())
            follows = config.data.get(argument) == path  # else it was set by itself, which is refused
            config = with_values(config, {f"dataset.{key}": absolute})
            config = with_values(config, {f"data.{argument}": absolute}) if follows else config
    return config


def load_config(path: Path) -> Config:
    """Read the ``config.yaml`` of a run folder.

    Raises:
        InputError: if there is none, or it is not one.
    """
    if not path.is_file():
        raise InputError(
            f"resume: {path.parent} is not a run folder; it has no config.yaml: nothing was done yet, start it anew"
        )
    content = read_yaml(path)
    keys = [key for key, _ in flatten(content)]
    for key in keys:
        check_key(key, str(path))
    with damage(path):
        given = {*content, *keys}
        needed = [key for key, default in flatten(asdict(Config())) if default == MISSING]
        if missing := [key for key in (*needed, *Config.__dataclass_fields__) if key not in {*given, *_ADDED}]:
            raise ValueError(f"it lacks {missing[0]}")
        try:
            # A folder that a file names is not looked into: the file may be a stranger's.
            config = with_values(_to_record(content), {"common.config_dirs": trusted_config_dirs()})
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    places = {argument: getattr(config.dataset, key) for key, argument in _PATHS.items()}
    return replace(config, data=places | config.data) if follows_dataset(config) else config


def moved(config: Config, key: str, place: str) -> Config:
    """The same with a key of ``PLACES`` that leads elsewhere."""
    absolute = str(Path(place).expanduser().absolute())
    return with_values(config, dict.fromkeys((key, f"data.{PLACES[key]}")[: 1 + follows_dataset(config)], absolute))


def follows_dataset(config: Config) -> bool:
    """Whether the group ``data`` reads what the section ``dataset`` says; a DataModule of the user's own need not."""
    return config.data.get("_target_") == "nas_lightning.data.datamodule.TimeSeriesData"


def source_of(config: Config) -> str:
    """What the data of a run are called."""
    named = config.dataset.input_data_path or config.dataset.dataset_name
    return str(named if follows_dataset(config) else config.data["_target_"])


def config_yaml(config: Config) -> str:
    """The content of ``config.yaml``: every value once, so that moved data are one edit."""
    content = asdict(config)
    for key, argument in _PATHS.items():
        if follows_dataset(config) and content["data"].get(argument) == content["dataset"][key]:
            content["data"].pop(argument, None)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _to_record(content: dict[str, Any]) -> Config:
    config = cast(Config, OmegaConf.to_object(OmegaConf.merge(schema(Config), escaped(content))))
    for section in sorted(name for name, value in vars(config).items() if isinstance(value, dict)):
        check_targets(section, getattr(config, section))
    return config
