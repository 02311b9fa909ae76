"""How long the fits of a run are: as the configuration says, or as the data have it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_lightning.config.records import Config, with_values
from nas_lightning.data.protocol import SearchData
from nas_lightning.training.length import Length, batches_of, is_shuffled

SEARCH_EPOCHS = 10, 10
"""The least and the most of a search whose epochs are null."""

SEARCH_STEPS = 400
"""The most of a search whose steps are null."""

TRAINING_EPOCHS = 20, 200
"""The same of a final training."""

LIKELY_EPOCHS, LEAST_SAMPLES, MOST_SAMPLES = 24, 80_000, 192_000
"""What a training of unknown length sees: all samples so often, within bounds; see
docs/decisions/training_length.md."""

OF_OUTLINE = 48_000
"""What the training of an outline sees at least: three times the steps gain nothing; see docs/notebook/recipes.md."""

FINETUNING_EPOCHS = 1, 10
"""The same of fine-tuning for int8."""

_EVERY, _STEPS_APART = (1, 2, 4, 5, 10), 10
"""After how many epochs val may be looked at, and the steps between two looks that are wanted.

To look at val takes as long as several steps on so small a set; each of the numbers divides 20 and 200 epochs.
"""


@dataclass(frozen=True)
class Lengths:
    """Of the search, of a final training and of fine-tuning for int8."""

    search: Length
    training: Length
    finetuning: Length


def lengths_of(config: Config, data: SearchData) -> Lengths:
    """The lengths of the fits on these data."""
    training, finetune = config.training, config.export.finetune
    train, alphas = data.train_dataloader(), data.alphas_dataloader()

    def training_steps() -> int:
        least = OF_OUTLINE if config.searches_outlines else LEAST_SAMPLES
        return training.training_steps or _steps_of(data.sizes["train"], batches_of(train), least)

    return Lengths(
        search=_length(training.nas_epochs, lambda: training.nas_steps or SEARCH_STEPS, [train, alphas], SEARCH_EPOCHS),
        training=_looking(_length(training.training_epochs, training_steps, [train], TRAINING_EPOCHS), config, train),
        finetuning=_length(finetune.epochs, lambda: finetune.steps, [train], FINETUNING_EPOCHS),
    )


def _looking(length: Length, config: Config, train: Any) -> Length:
    """The same, which looks at val less often where an epoch is a few steps and nobody has said how many there are."""
    if config.training.training_epochs is not None or (batches := batches_of(train)) is None:
        return length
    return replace(length, every=max((n for n in _EVERY if n * batches <= _STEPS_APART), default=1))


def _steps_of(samples: int, batches: int | None, least: int) -> int:
    """Of a final training whose epochs nobody has given."""
    return math.ceil(samples_seen(samples, least) / (32 if batches is None else math.ceil(samples / batches)))


def samples_seen(samples: int, least: int = LEAST_SAMPLES) -> int:
    """How many samples a final training sees where nobody has said how long it is.

    >>> [samples_seen(samples) for samples in (500, 5_000, 1_000_000)]
    [80000, 120000, 192000]
    """
    return min(max(LIKELY_EPOCHS * samples, least), MOST_SAMPLES)


def _length(epochs: int | None, steps: Callable[[], int], loaders: Sequence[Any], bounds: tuple[int, int]) -> Length:
    """As given, or by the steps, which are counted at need; where several loaders go in step, the longest counts."""
    if epochs is not None:
        return Length(epochs)
    batches = [batches_of(loader) for loader in loaders]
    found = Length.of_steps(steps(), max(filter(None, batches)) if all(batches) else None, *bounds)
    most = found.batches or math.inf
    is_fair = all(
        is_shuffled(loader) or (count or math.inf) <= most for loader, count in zip(loaders, batches, strict=True)
    )
    return found if is_fair else Length(found.epochs)


def length_of(epochs: int | None, steps: int, batches: int | None, bounds: tuple[int, int]) -> Length:
    """So many epochs, or as many as make so many steps."""
    return Length.of_steps(steps, batches, *bounds) if epochs is None else Length(epochs)


def in_full(config: Config, lengths: Lengths) -> Config:
    """The configuration with the epochs in the place of null, and of ``epochs`` in the schedules."""
    training = config.training
    values: dict[str, Any] = {"training.nas_steps": training.nas_steps or SEARCH_STEPS}
    if training.nas_epochs is None:
        values["training.nas_epochs"] = lengths.search.epochs
    if training.training_epochs is None:
        values["training.training_epochs"] = lengths.training.epochs
    values["scheduler"] = _in_epochs(config.scheduler, training.training_epochs or lengths.training.epochs)
    weight_scheduler: Any = config.search.get("weight_scheduler")
    if isinstance(weight_scheduler, dict):
        epochs = training.nas_epochs or lengths.search.epochs
        values["search.weight_scheduler"] = _in_epochs(weight_scheduler, epochs)
    return with_values(config, values)


def _in_epochs(schedule: dict[str, Any], epochs: int) -> dict[str, Any]:
    return {name: epochs if value == "epochs" else value for name, value in schedule.items()}


BEFORE_DATA = Lengths(*(Length(least) for least, _ in (SEARCH_EPOCHS, TRAINING_EPOCHS, FINETUNING_EPOCHS)))
"""The shortest ones, with which parts can be made before the data are read."""
