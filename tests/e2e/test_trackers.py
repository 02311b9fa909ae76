"""Several loggers at once, and the pictures to each: MLflow in a database file, Weights & Biases offline."""

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nas_lightning.config.compose import conf_dir

pytest.importorskip("mlflow", reason="needs the extra mlflow")
pytest.importorskip("wandb", reason="needs the extra wandb")
SHORT = ("training.nas_epochs=2", "training.training_epochs=2", "selection.candidates=1", "control.num_random=0")
PICTURES = {"alphas/normal", "alphas/reduce", "genotype"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
def test_every_logger_gets_the_figures_and_pictures_of_all_stages(cli, tmp_path, monkeypatch):
    import wandb
    from mlflow import MlflowClient

    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    names = ("tensorboard", "csv", "mlflow", "wandb")
    content = {name: yaml.safe_load((conf_dir() / "logger" / f"{name}.yaml").read_text()) for name in names}
    (tmp_path / "mine/logger").mkdir(parents=True)
    (tmp_path / "mine/logger/all.yaml").write_text(yaml.safe_dump(content))
    run = tmp_path / "run"
    arguments = ["--config-dir", "mine", "logger=all", "augmentation=sensor", "export.int8=false", "hydra.run.dir=run"]
    status, _, err = cli(*arguments, *SHORT, "callbacks.progress_bar=null")
    wandb.teardown()
    assert status == 0, err

    client = MlflowClient("sqlite:///mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'nas_lightning'")
    runs = {found.info.run_name: found for found in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {"run search", "run training"}
    for stage, own in (("search", "genotype"), ("training", "confusion")):
        board = EventAccumulator(str(run / "tensorboard" / stage)).Reload().Tags()
        found = runs[f"run {stage}"]
        assert f"{stage}/val_loss" in found.data.metrics.keys() & set(board["scalars"])
        pictures = {*board["images"]}
        assert pictures == {"augmentation"} | (PICTURES if stage == "search" else {"confusion"})
        for name in pictures:
            assert client.list_artifacts(found.info.run_id, name), name
        (folder,) = [path for path in tmp_path.glob("wandb/offline-run-*") if list(path.rglob(f"*{own}_*.png"))]
        images = {str(path.relative_to(folder / "files/media/images")) for path in folder.rglob("*.png")}
        assert {image.rpartition("_")[0].rpartition("_")[0] for image in images} == pictures
        assert (run / "csv" / stage / "metrics.csv").is_file()
    assert runs["run training"].data.params["preset"] == "s"
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 2
    assert not [path for path in run.rglob("*") if path.is_symlink()]  # with which it could not be resumed
