"""Tagging: predictions of sentences of many lengths."""

import logging

import keras
import numpy as np

from kit import config, recipes, terminal
from kit.runs.settings import resolve
from kit.tasks import tagging


def test_predictions_are_compiled_once_for_all_lengths():
    recipe = recipes.get("sequence_tagging")
    settings = resolve(recipe, "smoke", {"data.num_sentences": 200}, 0)
    splits = config.call(recipe.data, 0, None, **settings["data"])
    sizes = {"word_dim": 4, "feature_dim": 2, "character_dim": 2, "character_units": 4}
    facts = {name: splits.facts[name] for name in ("vocabulary_size", "num_tags")}
    model = recipe.build(**facts, **sizes, backbone="bilstm_crf")
    plain = keras.Model(model._inputs_struct, model._outputs_struct)
    examples = splits.train
    batches = [examples.arrays(rows)[0] for rows in examples.chunks(8)]
    assert len({each["word"].shape for each in batches}) > 3
    labels, shares = tagging._decoded(model, examples, 8)
    assert model.predict_function.experimental_get_tracing_count() == 1
    for batch in batches[:3]:
        np.testing.assert_array_equal(model.predict_on_batch(batch), plain.predict_on_batch(batch))
    assert [len(each) for each in labels] == [len(each) for each in shares] == tagging.words_of(examples).tolist()


def test_warnings_of_keras_own_retracing_are_left_away(caplog):
    terminal.load_tensorflow()
    log = logging.getLogger("tensorflow")
    said = "5 out of the last 13 calls to <function {}> triggered tf.function retracing"
    with caplog.at_level(logging.WARNING, "tensorflow"):
        log.addHandler(caplog.handler)
        log.warning(said.format("TensorFlowTrainer._make_function.<locals>.one_step_on_data at 0x7f"))
        log.warning(said.format("my_own at 0x7f"))
        log.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {said.format("my_own at 0x7f")}
