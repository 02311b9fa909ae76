"""Hydra composes the same few choices of options in thousands of commands; here, each choice is composed once.

Which files are merged depends on the options that are chosen, and on no value: Hydra applies values behind that, and
each time. Folders of a user's own are read as ever, for they change.
"""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from types import ModuleType
from typing import Any

import pytest
from hydra._internal.defaults_list import Overrides
from hydra.core.config_store import ConfigStore

from nas_lightning.config.compose import conf_dir


def share_compositions(loading: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Change ``hydra._internal.config_loader_impl``, as long as the patch holds."""
    loader, repository = loading.ConfigLoaderImpl, loading.ConfigRepository
    patch.setattr(ConfigStore, "__deepcopy__", lambda store, memo: store, raising=False)  # it hands out copies
    patch.setattr(repository, "load_config", _sharing_files(repository.load_config))
    patch.setattr(loading, "create_defaults_list", _sharing_lists(loading.create_defaults_list))
    merge = "_compose_config_from_defaults_list"
    patch.setattr(loader, merge, _sharing_merges(getattr(loader, merge)))


def _sources_of(repo: Any) -> str | None:
    """Where options come from; None if that is more than this package and Hydra itself."""
    sources = repo.get_sources()
    if {source.path for source in sources if source.scheme() == "file"} - {str(conf_dir())}:
        return None
    return repr([(source.provider, source.path) for source in sources])


def _kept(known: dict[str, bytes], key: str, make: Callable[[], Any]) -> Any:
    """A copy of its own for each who asks."""
    if key not in known:
        known[key] = pickle.dumps(make())
    return pickle.loads(known[key])


def _sharing_files(load: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, bytes] = {}

    @wraps(load)
    def call(repo: Any, config_path: str) -> Any:
        if not (sources := _sources_of(repo)):
            return load(repo, config_path)
        return _kept(known, repr((sources, config_path)), lambda: load(repo, config_path))

    return call


def _sharing_lists(create: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, bytes] = {}

    @wraps(create)
    def call(repo: Any, overrides_list: list[Any], **about: Any) -> Any:
        if not (sources := _sources_of(repo)):
            return create(repo=repo, overrides_list=overrides_list, **about)
        given = Overrides(repo=repo, overrides_list=overrides_list)
        key = repr((sources, given.override_choices, given.deletions, given.append_group_defaults, about))
        found = _kept(known, key, lambda: create(repo=repo, overrides_list=overrides_list, **about))
        return replace(found, config_overrides=given.config_overrides)

    return call


def _sharing_merges(merge: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, bytes] = {}

    @wraps(merge)
    def call(loader: Any, defaults: list[Any], repo: Any) -> Any:
        if not (sources := _sources_of(repo)):
            return merge(loader, defaults=defaults, repo=repo)
        return _kept(known, repr((sources, defaults)), lambda: merge(loader, defaults=defaults, repo=repo))

    return call
