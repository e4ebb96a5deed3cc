"""Plots and the page."""

import json

import numpy as np
import pandas as pd

from kit import config
from kit.reporting import page, plots


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


def test_image_grid_shows_every_image():
    images = [np.zeros((4, 4, channels), np.uint8) for channels in (1, 3, 1)]
    figure = plots.image_grid(images, ["x", "y", "z"], columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["x", "y", "z", ""]


def test_page_is_one_file_and_escapes_what_it_shows(tmp_path):
    config.write_toml(tmp_path / "config.toml", {"recipe": "some_task", "data": {"source": "<b>&"}})
    metrics = {
        "test": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "bleu": 31.0},
        "params": 1234,
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
    assert "<b>0.5000</b><span>accuracy<br>95 %: 0.4000 to 0.6000</span>" in text
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "&lt;i&gt;None" in text
    assert "data:image/png;base64," in text
    assert "Per class" in text
    assert 'src="http' not in text
    assert "1,234" in text
