"""Figures, rewards and losses of classification, by hand and against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from nas_lightning.errors import InputError
from nas_lightning.tasks import Classification
from nas_lightning.tasks.classification import METRICS, ClassificationLoss, confusion, never_predicted, weights_of

TASK = Classification(2, 16, 3)
LOGITS = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [2.0, 0, 0], [0, 0, 2.0]])


def test_figures_by_hand():
    """True 0 0 1 1, predicted 0 1 0 2: recalls 1/2 and 0; class 2 does not occur."""
    found = TASK.figures(LOGITS, torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 0.25
    assert found["balanced_accuracy"] == 0.25
    assert found["macro_f1"] == pytest.approx((0.5 + 0) / 2)
    log_sum = math.log(math.exp(2) + 2)
    assert found["loss"] == pytest.approx((log_sum - 2 + 3 * log_sum) / 4)
    assert tuple(found) == (*METRICS, "loss")


@pytest.mark.parametrize("num_classes", [1, 2, 3, 4, 7, 12, 33])
def test_figures_are_those_of_scikit_learn_to_the_last_bit(num_classes):
    generator = np.random.default_rng(num_classes)
    for count in (1, 5, 64, 1000):
        logits = torch.tensor(generator.normal(size=(count, num_classes)), dtype=torch.float32)
        y = generator.integers(0, max(1, num_classes - 1), count)
        found, guess, present = (
            Classification(1, 8, num_classes).figures(logits, torch.tensor(y)),
            logits.argmax(1),
            np.unique(y),
        )
        averaged = {"labels": present, "average": "macro", "zero_division": 0}
        assert found["accuracy"] == accuracy_score(y, guess)
        assert found["balanced_accuracy"] == recall_score(y, guess, **averaged)
        assert found["macro_f1"] == f1_score(y, guess, **averaged)


def test_a_metric_over_batches_is_that_of_all_samples():
    generator = torch.Generator().manual_seed(0)
    logits, y = torch.randn(50, 3, generator=generator), torch.randint(3, (50,), generator=generator)
    metric = TASK.metric()
    for part in range(0, 50, 7):
        metric.update(logits[part : part + 7], y[part : part + 7])
    assert metric.compute() == {name: TASK.figures(logits, y)[name] for name in METRICS}
    metric.reset()
    metric.update(LOGITS, torch.tensor([0, 1, 0, 2]))
    assert metric.compute() == dict.fromkeys(METRICS, 1.0)


def test_rewards_say_which_samples_are_right_and_their_mean_is_the_accuracy():
    y = torch.tensor([0, 0, 0, 2])
    assert TASK.rewards(LOGITS, y).tolist() == [1, 0, 1, 1]
    assert TASK.rewards(LOGITS, y).mean() == TASK.figures(LOGITS, y)[TASK.monitor]


def test_the_loss_is_summed_where_that_is_asked_for():
    y = torch.tensor([0, 0, 0, 2])
    assert float(TASK.loss(LOGITS, y, reduction="sum")) == pytest.approx(4 * float(TASK.loss(LOGITS, y)))


def test_the_head_has_an_output_for_each_class():
    assert TASK.head(5)(torch.zeros(2, 5)).shape == (2, TASK.num_outputs) == (2, 3)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "3", 1 << 21])
@pytest.mark.parametrize("name", ["in_channels", "length", "num_classes"])
def test_what_is_no_count_is_refused(name, wrong):
    with pytest.raises(InputError, match=f"task: {name} is {wrong!r}; allowed: whole numbers from 1 to 1,048,576"):
        Classification(**{"in_channels": 1, "length": 8, "num_classes": 2} | {name: wrong})


def test_confusion_has_a_row_per_true_class():
    assert confusion(LOGITS, torch.tensor([0, 0, 1, 1])).tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 0]]


def test_classes_that_are_never_predicted():
    """Predicted 0 1 0 2; what does not occur is not missed."""
    assert never_predicted(LOGITS, torch.tensor([0, 0, 1, 1])) == []
    assert never_predicted(LOGITS[[0, 2]], torch.tensor([0, 1])) == [1]
    assert never_predicted(LOGITS[[0, 2]], torch.tensor([1, 2])) == [1, 2]


def test_they_are_named_where_there_are_some():
    task = Classification(1, 8, 3, ("idle", "arc", "off"))
    assert task.doubts(LOGITS, torch.tensor([0, 0, 1, 1])) == []
    (doubt,) = task.doubts(LOGITS[[0, 2]], torch.tensor([1, 2]))
    assert doubt.startswith("the network takes no sample for arc, off, although")


def test_weights_of_classes_by_hand():
    counts = torch.tensor([40, 10, 0])[:2]
    assert weights_of(counts, "none") is None
    assert weights_of(counts, "balanced").tolist() == pytest.approx([50 / 80, 50 / 20])
    roots = [40**-0.5, 10**-0.5]
    scale = 50 / (40 * roots[0] + 10 * roots[1])
    assert weights_of(counts, "sqrt").tolist() == pytest.approx([scale * root for root in roots])


@pytest.mark.parametrize("how", ["balanced", "sqrt"])
def test_the_mean_weight_of_a_sample_is_one(how):
    counts = torch.tensor([292, 177, 10, 19, 2])
    assert float((weights_of(counts, how) * counts).sum() / counts.sum()) == pytest.approx(1)


def test_a_weight_is_that_of_the_sample_and_not_of_what_smoothing_gives_to_other_classes():
    """Labels of 0.9 + 0.1 / 3, 0.1 / 3 and 0.1 / 3; the weights are 1 and 5."""
    logits, y = torch.tensor([[2.0, 0.0, 1.0], [0.5, -1.0, 0.0]]), torch.tensor([0, 2])
    logs = [[z - math.log(sum(math.exp(other) for other in row)) for z in row] for row in logits.tolist()]
    losses = [-sum((0.9 * (k == label) + 0.1 / 3) * logs[i][k] for k in range(3)) for i, label in enumerate(y.tolist())]
    weighted = ClassificationLoss(torch.tensor([1.0, 1.0, 5.0]), 0.1)
    assert float(weighted(logits, y)) == pytest.approx((losses[0] + 5 * losses[1]) / 2)
    assert float(ClassificationLoss(None, 0.1)(logits, y)) == pytest.approx(sum(losses) / 2)
    plain = [-logs[0][0], -logs[1][2]]
    assert float(weighted.eval()(logits, y)) == pytest.approx((plain[0] + 5 * plain[1]) / 2)


def test_the_loss_of_a_training_is_the_one_that_is_asked_for():
    y, counts = torch.tensor([0, 0, 0, 2]), torch.tensor([30, 5, 5])
    plain = TASK.training_loss(counts, "none", 0.0)
    assert torch.equal(plain(LOGITS, y), TASK.loss(LOGITS, y))
    others = {
        float(TASK.training_loss(counts, *how)(LOGITS, y)) for how in (("balanced", 0), ("sqrt", 0), ("none", 0.1))
    }
    assert len(others | {float(plain(LOGITS, y))}) == 4


def test_classes_without_names_are_called_by_their_numbers():
    task = Classification(1, 8, 3)
    assert task.outputs.to_dict() == {"class_names": ["0", "1", "2"]}
    (doubt,) = task.doubts(torch.eye(3)[[0, 0, 0]], torch.tensor([0, 1, 1]))
    assert doubt.startswith("the network takes no sample for 1,")
    with pytest.raises(InputError, match="task: found 2 names for 3 classes; allowed: as many, or none"):
        Classification(1, 8, 3, ("a", "b"))


def test_the_deviation_of_a_share_is_binomial_and_never_zero():
    """Of 40 samples half right, the deviation is sqrt(0.25 / 40); of all right, that of one sample in 40."""
    task = Classification(1, 8, 3)
    assert task.deviation(0.5, 40) == pytest.approx((0.25 / 40) ** 0.5)
    assert task.deviation(1.0, 40) == pytest.approx(1 / 40)


def test_the_worst_figures_are_those_of_a_network_that_is_never_right():
    task = Classification(1, 8, 3)
    worst = task.worst_figures()
    task.check_figures(worst)
    assert worst.keys() == task.figures(torch.eye(3), torch.arange(3)).keys()
    assert worst["loss"] > 1e300
    for bad in (worst | {"accuracy": 1.5}, worst | {"macro_f1": float("nan")}, {"accuracy": 1.0, "loss": 0.0}, {}):
        with pytest.raises(ValueError, match="a figure is none from 0 to 1"):
            task.check_figures(bad)
