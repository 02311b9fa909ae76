"""The page of a run and of a sweep: real runs, hostile names, the figures of metrics.json, and a real browser."""

import html
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch

from nas_lightning.report.mistakes import read_mistakes

SMALL = (
    "experiment=quick", "callbacks=none", "training.nas_epochs=2", "training.training_epochs=2", "logger=none",
)  # fmt: skip
SCRIPT = "<script>alert(1)</script>"
CLASSES = (SCRIPT, "\"quotes\" & 'more' $x$", "w" * 10_000, "naïve 中文 -->")
LONG = "]]><img src=x onerror=alert(1)>" + "r" * 10_000


def hostile_table(path):
    """A long table of recordings of 60 rows, four for each of the classes, whose names would like to do harm."""
    random, parts = np.random.default_rng(0), []
    for number in range(32):
        name = LONG if number == 5 else f"{number} {SCRIPT} \"'"
        values = random.normal(size=(60, 2)) + number % 4 / 2
        part = pd.DataFrame(values, columns=["<b>x</b>", "y"])
        part.insert(0, "recording", name)
        part["label"], part["group"] = CLASSES[number % 4], f"person {number // 2}"
        parts.append(part)
    pd.concat(parts).to_csv(path, index=False)
    return path


@pytest.fixture
def hostile(cli, once, tmp_path):
    """A run on such a table with all that a page can show."""

    def make():
        path = hostile_table(tmp_path / "table.csv")
        status, _, err = cli(
            *SMALL, f"dataset.input_data_path={path}", "data_processing_feature_extraction.frame_size=16",
            "selection.candidates=2", "control.num_random=1", "search.num_seeds=2", "target_device=MSPM0G3507",
            "seed=4", "hydra.run.dir=run",
        )  # fmt: skip
        assert status == 0, err
        assert "report.html: could not be made" not in err
        return tmp_path / "run"

    return once("hostile", make)


def read(folder, name):
    return json.loads((folder / name).read_text())


class Elements(HTMLParser):
    """Tags with their attributes, and the text outside of style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.texts, self.is_style = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.is_style = tag == "style"

    def handle_endtag(self, tag):
        self.is_style = False

    def handle_data(self, data):
        if not self.is_style:
            self.texts.append(data)


def page_of(folder):
    return Elements((folder / "report.html").read_text())


def test_names_that_want_to_do_harm_are_text(hostile):
    page = page_of(hostile)
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "header",
        "small",
        "p",
        "h1",
        "h2",
        "h3",
        "dl",
        "div",
    }
    allowed |= {
        "dt",
        "dd",
        "details",
        "summary",
        "table",
        "tr",
        "th",
        "td",
        "span",
        "i",
        "b",
        "figure",
        "figcaption",
        "br",
    }
    allowed |= {"ul", "li", "code", "pre", "svg", "g", "path", "text", "defs", "use", "clippath", "rect", "tspan"}
    assert {tag for tag, _ in page.tags} <= allowed
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    links = [attrs[name] for _, attrs in page.tags for name in ("href", "src") if name in attrs]
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert SCRIPT in "".join(page.texts)  # it is shown
    assert (hostile / "report.html").stat().st_size < 1_500_000
    assert "w" * 100 not in re.sub(r'title="[^"]*"', "", (hostile / "report.html").read_text())


def test_ids_of_all_pictures_are_different_and_lead_somewhere(hostile):
    page, text = page_of(hostile), (hostile / "report.html").read_text()
    assert len(page.ids) == len(set(page.ids)) > 100
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(page.ids)


def test_the_page_has_all_parts(hostile):
    text = (hostile / "report.html").read_text()
    found = re.findall(r"<h[23]>(.*?)</h[23]>", text)
    assert found == [
        "The network", "Class by class", "What is taken for what", "Learning curves", "What the search preferred",
        "Cost on MSPM0G3507", "Figures, float against int8", "How far scores can be trusted",
        "Would chance have done as well?", "Do searches from different seeds agree?", "Final trainings",
        "The worst mistakes", "Recordings that are wrong", "Data",
        *(["Warnings"] if "Warnings" in found else []), "Seconds", "What to try next", "Files and commands",
    ]  # fmt: skip
    for picture in ("network", "search-loss", "search-accuracy", "training-loss", "decisions", "control", "mistake-0"):
        assert f'id="{picture}-figure_1"' in text


def test_the_figures_are_those_of_metrics_json(hostile):
    metrics, cost, text = read(hostile, "metrics.json"), read(hostile, "cost.json"), " ".join(page_of(hostile).texts)
    for split in ("test", "val", "test_int8", "val_int8"):
        assert all(f"{value:.4f}" in text for value in metrics[split].values())
    details = metrics["test_details"]
    assert details["right"] / details["samples"] == pytest.approx(metrics["test"]["accuracy"])
    shown = "".join((hostile / "report.html").read_text())
    for each in details["classes"]:
        for figure in ("recall", "precision", "f1"):
            if each[figure] is not None:
                low, high = each[f"{figure}_interval"]
                assert f"{each[figure]:.3f} <small>{low:.2f} to {high:.2f}</small>" in shown
    cells = re.findall(r"<td(?: class=miss)? style=\"--a:[^\"]*--p[^\"]*\">(\d+)</td>", shown)
    assert list(map(int, cells)) == [count for row in details["confusion"] for count in row]
    assert metrics["control"]["sentence"][1:] in text
    for limit in cost["budget"].values():
        assert f"{limit['value']:,}" in text
        assert f"{limit['limit']:,}" in text
    assert f"{details['num_wrong_recordings']} recordings of test have a sample" in text


def test_details_are_those_of_the_network_and_its_int8_form(hostile):
    """The macro F1 of the figures is the mean of those of the classes, and windows are judged by groups."""
    metrics = read(hostile, "metrics.json")
    for split in ("test", "val", "test_int8", "val_int8"):
        details, figures = metrics[f"{split}_details"], metrics[split]
        found = [each["f1"] for each in details["classes"] if each["samples"]]
        assert np.mean(found) == pytest.approx(figures["macro_f1"])
        low, high = details["accuracy_interval"]
        assert low <= figures["accuracy"] <= high
        assert details["unit"] == "groups"
        assert details["units"] < details["samples"] == metrics["samples"][split.removesuffix("_int8")]
    groups = read(hostile, "annotations/report.json")["test"]["groups"]
    assert metrics["test_details"]["units"] == len(groups)
    named = [each["name"] for each in metrics["test_details"]["wrong_recordings"]]
    listed = (hostile / "annotations/instances_test_list.txt").read_text()
    assert all(json.dumps(name) in listed or name in listed for name in named)


def test_the_same_command_makes_the_same_bytes(cli, hostile):
    before = (hostile / "report.html").read_bytes()
    (hostile / "report.html").unlink()
    status, out, err = cli("report", hostile)
    assert (status, out.strip(), err) == (0, str(hostile / "report.html"), "")
    assert (hostile / "report.html").read_bytes() == before


def test_the_mistakes_are_samples_of_the_split_that_the_network_is_wrong_about(hostile):
    mistakes = read_mistakes(hostile / "mistakes.npz")
    assert (hostile / "mistakes.npz").stat().st_size < 100_000
    assert (mistakes.split, mistakes.rows, mistakes.values.shape[1:]) == ("test", 16, (2, 16))
    assert list(mistakes.scores) == sorted(mistakes.scores, reverse=True)
    import nas_lightning

    network = nas_lightning.load(hostile)
    with torch.no_grad():
        scores, taken = network(torch.from_numpy(mistakes.values)).softmax(1).max(1)
    np.testing.assert_allclose(scores, mistakes.scores, rtol=1e-4)
    names = [html.unescape(name)[:200] for name in network.description.outputs.names]
    for number, taken_for in enumerate(mistakes.taken_for):
        assert names[int(taken[number])].split()[0].startswith(taken_for.split()[0].rstrip(".")[:50])
        assert mistakes.labels[number] != taken_for


def test_a_run_of_an_older_version_has_a_page_without_what_it_did_not_write(cli, hostile, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(hostile, old, ignore=shutil.ignore_patterns("history.json", "mistakes.npz", "report.html", "*.npz"))
    metrics = read(old, "metrics.json")
    new = [name for name in metrics if name.endswith("_details") or name in ("samples", "confidence")]
    (old / "metrics.json").write_text(json.dumps({name: metrics[name] for name in metrics if name not in new}))
    status, _, err = cli("report", old)
    assert status == 0, err
    text = (old / "report.html").read_text()
    found = re.findall(r"<h[23]>(.*?)</h[23]>", text)
    assert "The network" in found
    assert not {"Class by class", "Learning curves", "The worst mistakes", "How far scores can be trusted"} & set(found)
    assert f"{metrics['test']['accuracy']:.4f}" in text


def test_the_history_has_every_epoch_of_every_fit(hostile):
    history = read(hostile, "history.json")
    assert list(history)[:3] == ["search", "search_1", list(history)[2]]
    assert set(history) == {"search", "search_1", "training", "training_1"}
    kept = read(hostile, "metrics.json")["selection"]["kept"]
    assert list(history)[2] == (f"training_{kept}" if kept else "training")
    for name, columns in history.items():
        assert columns["epoch"] == [1, 2]
        stage = {"val_loss", "val_accuracy"}
        stage |= {"weights_loss", "alphas_loss"} if name.startswith("search") else {"train_loss", "train_accuracy"}
        assert stage <= columns.keys()
    best = read(hostile, "metrics.json")["training"]["best_epoch"]
    on_val = history[list(history)[2]]["val_accuracy"][best - 1]
    assert on_val == pytest.approx(read(hostile, "metrics.json")["val"]["accuracy"], abs=1e-5)


@pytest.mark.parametrize("argument", [(), ("a", "b"), ("--all",)])
def test_report_takes_one_folder(cli, argument):
    status, _, err = cli("report", *argument)
    assert status == 2
    assert err.startswith("error: report: takes the folder of a run or of a sweep, found [")


def test_folders_that_are_none_are_refused(cli, tmp_path):
    status, _, err = cli("report", "nowhere")
    assert (status, err) == (2, "error: report: there is no folder nowhere; give that of a run or of a sweep\n")
    (tmp_path / "empty").mkdir()
    status, _, err = cli("report", "empty")
    assert (status, err) == (
        2, "error: empty: holds neither a run nor runs of a sweep; give the folder of one of them\n",
    )  # fmt: skip
    assert not list((tmp_path / "empty").iterdir())


@pytest.mark.parametrize("name", ["history.json", "mistakes.npz", "metrics.json", "cost.json", "genotype.json"])
def test_a_damaged_file_is_named_and_the_old_page_stays(cli, hostile, tmp_path, name):
    shutil.copytree(hostile, tmp_path / "copy")
    (tmp_path / "copy" / name).write_bytes(b"\x00\x01 no such file")
    status, _, err = cli("report", "copy")
    assert status == 2
    assert err.startswith(f"error: copy/{name}: cannot be read")
    assert (tmp_path / "copy/report.html").read_bytes() == (hostile / "report.html").read_bytes()


def test_what_does_not_fit_together_is_a_sentence(cli, hostile, tmp_path):
    """In a folder of somebody else."""
    shutil.copytree(hostile, tmp_path / "copy")
    metrics = read(hostile, "metrics.json")
    metrics["test_details"]["confusion"] = metrics["test_details"]["confusion"][:1]
    (tmp_path / "copy/metrics.json").write_text(json.dumps(metrics))
    status, _, err = cli("report", "copy")
    assert status == 2
    assert err.startswith("error: copy: no page can be made of what lies in it (")


@pytest.fixture
def short(cli, tmp_path):
    """A run of the hand-made network."""

    def call(name, *arguments):
        status, _, err = cli(
            *SMALL, "training.nas_enabled=false", "export.int8=false", f"hydra.run.dir={name}", *arguments
        )
        assert status == 0, err
        return tmp_path / name

    return call


def test_a_hand_made_network_is_a_list_of_layers(short):
    folder = short("run")
    text = (folder / "report.html").read_text()
    assert "hand-made network has 894 parameters" in text
    rows = re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td><td class=\"n\">([\d,]+)</td>", text)
    layers = read(folder, "cost.json")["layers"]
    assert rows == [(layer["name"], layer["kind"], f"{layer['params']:,}") for layer in layers]
    assert "What the search preferred" not in text


def test_front_ends_that_were_compared_are_on_the_page_of_the_best(short):
    presets = "[none,Generic_8Input_ABS_8Feature_1Frame]"
    channels = "data_processing_feature_extraction.variables=6"
    folder = short("run", "search_features=true", f"features_candidates={presets}", channels)
    text, metrics = (folder / "report.html").read_text(), read(folder, "metrics.json")
    assert "<h2>What was compared</h2>" in text
    assert f"{metrics['test']['accuracy']:.4f}" in text
    assert metrics["test_details"]["samples"] == metrics["samples"]["test"]
    assert (folder / "history.json").is_file()
    own = folder / "front_ends" / metrics["front_end"]
    assert read_mistakes(own / "mistakes.npz").split == "val"  # a candidate reads no test sample
    assert "test" not in read(own, "metrics.json")


@pytest.mark.slow
def test_the_rounds_of_the_smallest_network_are_on_its_page(cli, tmp_path):
    arguments = ("target_accuracy=0.1", "target_rounds=1", "hydra.run.dir=run", "export.int8=false")
    status, _, err = cli(*SMALL, *arguments)
    assert status == 0, err
    assert "<h2>What was compared</h2>" in (tmp_path / "run/report.html").read_text()
    assert {"history.json", "report.html"} <= {path.name for path in (tmp_path / "run/rounds/0").iterdir()}


@pytest.fixture
def sweep(cli, once, tmp_path):
    def make():
        arguments = ("training.nas_enabled=false", "export.int8=false", "hydra.sweep.dir=sweep")
        status, _, err = cli("-m", "model=cnn_s,cnn_m", "training.batch_size=16,99", *SMALL, *arguments)
        assert status == 2, err
        assert "2 runs of the sweep have no result" in err
        return tmp_path / "sweep"

    return once("sweep", make)


def test_a_sweep_is_one_page(cli, sweep):
    text = (sweep / "report.html").read_text()
    assert "2 of 4 runs have a result" in text
    assert re.findall(r'<a href="([^"]+)">', text) == ["0/report.html", "2/report.html"]
    assert all((sweep / link).is_file() for link in ("0/report.html", "2/report.html"))
    assert "99 is larger than the train split" in text
    assert 'id="front-figure_1"' in text
    assert 'id="parallel-figure_1"' in text
    status, _, err = cli("report", sweep)
    assert status == 0, err
    assert (sweep / "report.html").read_text() == text


def test_a_page_that_cannot_be_made_is_a_warning_and_the_run_ends(cli, tmp_path, monkeypatch):
    """Here, because a template is broken."""
    monkeypatch.setattr("nas_lightning.report.page.render.FILES", (("one", "two", "three"),))
    monkeypatch.setattr("nas_lightning.report.page.facts.MEASURE_NAMES", {"no such measure": "none"})
    status, _, err = cli(*SMALL, "training.nas_enabled=false", "export.int8=false", "hydra.run.dir=run")
    assert status == 0
    again = f"nas-lightning report {tmp_path / 'run'} tries again"
    assert "report.html: could not be made (" in err
    assert again in err
    assert (tmp_path / "run/metrics.json").is_file()
    assert not (tmp_path / "run/report.html").exists()


SMALLEST_LETTERS = """
Math.min(...[...document.querySelectorAll('body *')]
    .filter(each => each.childNodes.length && !each.closest('svg'))
    .map(each => parseFloat(getComputedStyle(each).fontSize)))
"""
SIZES = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def browser():
    """Chromium, where playwright or the system has one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser can be started; make deps-browser installs one ({str(error).splitlines()[0]})")
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
@pytest.mark.parametrize("kind", ["hostile", "sweep"])
def test_a_browser_shows_it_without_a_word_and_without_the_network(request, browser, width, scheme, kind):
    folder, said, asked = request.getfixturevalue(kind), [], []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda one: asked.append(one.url))
    page.goto((folder / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(folder / "report.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate(SMALLEST_LETTERS) >= 11
    context.close()


def test_paper_is_white_and_letters_keep_their_order_of_size(hostile, browser):
    """Where the screen is dark, too."""
    page = browser.new_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.goto((hostile / "report.html").as_uri())
    ink, paper = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert max(map(int, re.findall(r"\d+", ink))) < 64
    assert paper == "rgb(255, 255, 255)"
    text, small = (
        page.evaluate(f"parseFloat(getComputedStyle(document.querySelector('{of}')).fontSize)")
        for of in ("p:not([class])", "p.small")
    )
    assert 8 < small < text < 12
    page.close()
