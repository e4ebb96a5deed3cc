"""Model files: the same bytes for the same model."""

import zipfile

import keras
import numpy as np

from kit.training.saving import save_model


def network(seed=0):
    keras.utils.set_random_seed(seed)
    inputs, shared = keras.Input((4,), name="inputs"), keras.layers.Dense(4, name="shared", dtype="mixed_bfloat16")
    return keras.Model(inputs, keras.layers.Dense(2, name="logits")(shared(shared(inputs))), name="network")


def test_equal_models_give_equal_files(tmp_path, monkeypatch):
    kept = [network()]
    save_model(kept[0], tmp_path / "a.keras")
    kept += [object() for _ in range(1000)]  # another place in memory
    monkeypatch.setattr("time.localtime", lambda *_: (2031, 1, 1, 1, 1, 2, 0, 0, 0))
    save_model(network(), tmp_path / "b.keras")
    save_model(network(1), tmp_path / "c.keras")
    first, second, other = ((tmp_path / f"{name}.keras").read_bytes() for name in "abc")
    assert first == second != other
    assert [path.name for path in sorted(tmp_path.glob("*.keras"))] == ["a.keras", "b.keras", "c.keras"]


def test_it_is_a_file_of_keras_like_others(tmp_path):
    model, inputs = network(), np.ones((3, 4), "float32")
    model.save(tmp_path / "plain.keras")
    save_model(model, tmp_path / "saved.keras")
    again = keras.models.load_model(tmp_path / "saved.keras", safe_mode=True)
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert again.get_layer("shared").dtype_policy.name == "mixed_bfloat16"
    plain, saved = (zipfile.ZipFile(tmp_path / f"{name}.keras") for name in ("plain", "saved"))
    assert saved.namelist() == plain.namelist() and saved.testzip() is None
    assert saved.read("model.weights.h5") == plain.read("model.weights.h5")
