"""Texts that a language model writes while it trains, for the page of the run."""

import keras
import pandas as pd

from kit.files import write_text

NAME = "1_written_while_it_trained.csv"


class Written(keras.callbacks.Callback):
    """Lets a network write after the 1st, 2nd, 4th, 8th epoch and so on, and after the last one.

    Args:
        write: Function that returns a text.
        folder: Where the table of what was written grows.
    """

    def __init__(self, write, folder):
        super().__init__()
        self.write, self.path = write, folder / NAME

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        is_last = self.model.stop_training or number == self.params["epochs"]
        if number & (number - 1) and not is_last:
            return
        self.path.parent.mkdir(exist_ok=True)
        rows = []
        if self.path.exists():  # those of a killed run that are written anew are left out
            known = pd.read_csv(self.path, keep_default_na=False)
            rows = [row for row in known.to_dict("records") if row["epoch"] < number]
        rows.append({"epoch": number, "text": self.write()})
        write_text(self.path, pd.DataFrame(rows).to_csv(index=False))
