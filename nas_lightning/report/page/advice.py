"""What to try next: few rules, each from a figure of the run, and each names the key that it is about."""

from collections.abc import Iterator

from nas_lightning.report.page.facts import number
from nas_lightning.report.page.files import RunFiles

_FEW = 100
_UNUSED = 0.5
_GAP = 0.1


def advice(files: RunFiles) -> list[str]:
    """One sentence for each rule that holds."""
    rules = (_control, _hand_made, _int8, _missed, _few_samples, _unused, _overfit, _unstable)
    return [sentence for rule in rules for sentence in rule(files)]


def _control(files: RunFiles) -> Iterator[str]:
    control = files.metrics.control
    if control is not None and control.verdict == "lost" and control.kept == "found":
        yield (
            "The search lost to random choice: `control.keep_better=true` trains the better network, "
            "`training.nas_steps` makes the search longer, and `search=random` costs no search at all."
        )


def _hand_made(files: RunFiles) -> Iterator[str]:
    control = files.metrics.control
    if control is None:
        return
    larger = "budget" if files.setting("training.nas_model_size") == "auto" else "`nas_model_size`"
    for reference in control.references:
        if reference.value > control.found:
            yield (
                f"The hand-made {reference.name} is better than the search's first choice: "
                f"`training.nas_enabled=false model={reference.name}` trains it, and a larger {larger} gives the "
                "search as many parameters."
            )


def _int8(files: RunFiles) -> Iterator[str]:
    metrics, allowed = files.metrics, files.setting("export.max_int8_drop", 0.01)
    name = files.setting("testing.metric", "accuracy")
    if metrics.val is None or metrics.val_int8 is None or not isinstance(allowed, int | float):
        return
    drop = metrics.val.get(name, 0.0) - metrics.val_int8.get(name, 0.0)
    if drop > allowed:
        yield (
            f"int8 loses {drop:.4f} on val, more than `export.max_int8_drop`={allowed:g}: more of "
            "`export.calibration_samples` and `export.finetune.steps` may help, and `selection.by=int8` where one of "
            "several networks is kept."
        )


def _missed(files: RunFiles) -> Iterator[str]:
    details = files.metrics.details(files.metrics.tested)
    never = [each.name for each in details.classes if each.samples and not each.predicted] if details else []
    if never and files.setting("training.class_weights", "none") == "none":
        yield (
            f"No sample is taken for {never[0]}{f' and {len(never) - 1} other classes' if len(never) > 1 else ''}: "
            "`training.class_weights=balanced` makes rare classes count."
        )


def _few_samples(files: RunFiles) -> Iterator[str]:
    count = (files.metrics.samples or {}).get("val")
    if count is not None and 0 < count < _FEW:
        yield (
            f"`val` has {count} samples, so one of them is {100 / count:.1f} points: more recordings tell networks "
            "apart, more than any key does."
        )


def _unused(files: RunFiles) -> Iterator[str]:
    budget = files.cost.budget or {}
    shares = [limit.value / limit.limit for limit in budget.values() if limit.limit]
    is_searched = files.metrics.search is not None and files.setting("training.nas_model_size") != "auto"
    if shares and is_searched and max(shares) < _UNUSED:
        yield (
            f"The network uses at most {100 * max(shares):.0f} % of a limit: `nas_model_size=auto` searches networks "
            "that use more of it."
        )


def _overfit(files: RunFiles) -> Iterator[str]:
    name = "training" if (kept := _kept(files)) == 0 else f"training_{kept}"
    columns, best = files.history.get(name, {}), files.metrics.training
    values = columns.get("train_accuracy")
    if not values or best is None or best.best_epoch not in columns["epoch"] or files.metrics.val is None:
        return
    train, val = values[columns["epoch"].index(best.best_epoch)], files.metrics.val.get("accuracy")
    if train is not None and val is not None and train - val > _GAP and not files.setting("augmentation"):
        yield (
            f"The training ends with an accuracy of {number(train, 2)} on train and {number(val, 2)} on val: "
            "`augmentation=sensor` and more recordings work against that, a larger network does not."
        )


def _kept(files: RunFiles) -> int:
    return files.metrics.selection.kept if files.metrics.selection is not None else 0


def _unstable(files: RunFiles) -> Iterator[str]:
    if files.metrics.seeds is not None and files.metrics.seeds.verdict == "unstable":
        yield (
            "Searches from different seeds end differently: `selection.candidates` trains more of what they found, and "
            "longer searches (`training.nas_steps`) may agree."
        )
