"""Plots and the page."""

import json

import numpy as np
import pandas as pd
import pytest

from kit import config
from kit.errors import KitError
from kit.reporting import page, plots, token_plots


def test_learning_curves_have_a_panel_each():
    history = pd.DataFrame(
        {"epoch": [1, 2], "loss": [2, 1], "val_loss": [2, 1], "bleu": [1, 2], "learning_rate": [0.1, 0.2]}
    )
    figure = plots.learning_curves(history, "bleu", 2)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["loss", "bleu", "learning rate at the epoch's end"]
    assert len(figure.axes[0].lines) == 3
    figure = plots.learning_curves(history[["epoch", "loss", "learning_rate"]], "bleu", 1)
    assert len(figure.axes) == 2


def test_confusion_matrix_writes_counts_while_they_can_be_read():
    texts = plots.confusion_matrix(np.array([[5, 1], [0, 7]]), ["a", "b"]).axes[0].texts
    assert sorted(text.get_text() for text in texts) == ["1", "5", "7"]
    assert not plots.confusion_matrix(np.eye(60, dtype=int), [str(index) for index in range(60)]).axes[0].texts


def test_a_figure_that_cannot_be_drawn_costs_no_other(tmp_path, caplog):
    def broken():
        raise TypeError("no such\nlayer")

    plots.save_all({"1_broken": broken, "2_whole": lambda: plots.confusion_matrix(np.eye(2), ["a", "b"])}, tmp_path)
    assert [path.name for path in tmp_path.glob("*.png")] == ["2_whole.png"]
    assert "the figure '1_broken' is left out, for it cannot be drawn: 'TypeError: no such" in caplog.text


def test_a_full_disk_ends_the_drawing(tmp_path):
    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(KitError, match="cannot be written"):
        plots.save_all({"1_full": full}, tmp_path)


def test_image_grid_shows_every_image():
    images = [np.zeros((4, 4, channels), np.uint8) for channels in (1, 3, 1)]
    figure = plots.image_grid(images, ["x", "y", "z"], columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["x", "y", "z", ""]


def test_page_is_one_file_and_escapes_what_it_shows(tmp_path):
    config.write_toml(tmp_path / "config.toml", {"recipe": "some_task", "data": {"source": "<b>&"}})
    metrics = {
        "test": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "bleu": 31.0},
        "params": 2_605_568,
        "advice": [{"finding": "Few <i>examples</i>.", "settings": ["--train.epochs <40>"]}],
        "epochs": 3,
        "best_epoch": 2,
        "train_seconds": 1.5,
        "examples_per_second": 10.0,
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "environment.json").write_text('{"python": "3"}')
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "1_per_class.csv").write_text("class,f1\n<i>None,0.5\n")
    (tmp_path / "plots").mkdir()
    plots.image_grid([np.zeros((4, 4, 3), np.uint8)], [""]).savefig(tmp_path / "plots" / "1_images.png")
    text = page.write(tmp_path).read_text()
    assert "<b>50.00 %</b><span>accuracy<br>95 % interval 40.00 to 60.00 %</span>" in text
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "&lt;i&gt;None" in text
    assert "data:image/png;base64," in text
    assert "Per class" in text
    assert 'src="http' not in text
    assert '<b class="long">2.61 million</b><span>parameters<br>2,605,568</span>' in text
    assert "Few &lt;i&gt;examples" in text and "<code>--train.epochs &lt;40&gt;</code>" in text


def test_figures_stand_side_by_side_where_there_is_room():
    assert page.in_rows([1320, 660, 1122, 440, 440]) == [[0], [1, 3], [2], [4]]
    assert page.in_rows([598, 598]) == [[0, 1]]  # a little smaller
    assert page.in_rows([300] * 4) == [[0, 1, 2], [3]]
    assert page.in_rows([5000]) == [[0]] and page.in_rows([]) == []


@pytest.mark.parametrize(("heads", "words"), [(1, 3), (4, 12), (8, 12), (8, 40), (16, 40), (2, 1)])
def test_attention_is_no_larger_than_a_page(heads, words):
    weights = np.random.default_rng(0).random((heads, words, words))
    figure = token_plots.attention(weights, [f"word{index}" for index in range(words)])
    width, height = figure.get_size_inches()
    assert width <= 11 and height <= 30
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(drawn) in (1, heads)
    sizes = {label.get_fontsize() for axis in drawn for label in [*axis.get_xticklabels(), *axis.get_yticklabels()]}
    assert min(sizes) >= 9
    first, lowest = drawn[0], drawn[-1]
    assert first.get_yticklabels()[0].get_text() == lowest.get_xticklabels()[0].get_text() == "word0"
