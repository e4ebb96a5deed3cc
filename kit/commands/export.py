"""A finished run's model in other formats, each checked by running it beside the Keras model on test data."""

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np

from kit.commands.flags import refuse_settings
from kit.data import remote
from kit.errors import KitError, choose
from kit.runs import finished

# Largest difference to the Keras model's outputs, as a share of their largest size (at least 1).
_TOLERANCE = 1e-4
# Share of the examples whose answer int8 arithmetic may cost.
_MOST_LOST_ACCURACY = 0.01
_CALIBRATION_EXAMPLES = 256
_CHECKED_EXAMPLES = 1024


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported model, and how near it is to the original.

    Args:
        path: The file, or the folder of a SavedModel; or its address.
        format: Name of the format.
        examples: Test examples on which it was checked.
        difference: Largest difference to an output of the Keras model.
        accuracy_lost: Accuracy on those examples that the Keras model has more; None where answers are no classes.
    """

    path: Path | str
    format: str
    examples: int
    difference: float
    accuracy_lost: float | None


def export(folder, format, path=None, data=None):
    """Writes the model of a finished run in another format, and checks it.

    Args:
        folder: The run folder; of several seeds or folds the run that is best on the validation split is taken.
        format: `saved_model` (TensorFlow), `litert` (LiteRT, once TensorFlow Lite), `litert_int8` (the same with whole
            numbers of 8 bits inside, calibrated on training examples), `onnx`, `safetensors`: the backbone in the
            published layout with its configuration and tokenizer, a folder that `model.weights` and other libraries
            take; or `word2vec`: word vectors in a text file, which `data.vectors` and other libraries take.
        path: Where to write, a path or an address such as s3://bucket/model; by default inside the run folder's
            `exports/`.
        data: The data of the run again, where they were given in Python.

    Returns:
        `Exported`.

    Raises:
        KitError: the format cannot carry the model, a package is missing, or the outputs differ.
        SettingError: an unknown format.
    """
    name, write, start = choose(_FORMATS, format, "format")
    run = finished.load_one(folder)
    if format in _OF_RUNS:
        write, start = _OF_RUNS[format](run)
    if run.recipe.task.inputs == "none":
        raise KitError(f"{format}: {run.recipe.name} makes images out of noise; use best.keras with keras.Model.export")
    model = run.recipe.task.exported(run.model)
    if len(model.outputs) > 1:
        raise KitError(
            f"{format}: {run.recipe.name} translates in two directions; use best.keras with keras.Model.export"
        )
    if remote.is_address(path):
        remote.check_free(path)
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / (PurePosixPath(path).name or name)
            done = _exported(run, format, local, data, model, write, start)
            remote.send(local, path)
        return dataclasses.replace(done, path=path)
    path = Path(path) if path else run.folder / "exports" / name
    if path.exists():
        raise KitError(f"{path}: exists already; expected a new path")
    return _exported(run, format, path, data, model, write, start)


def _exported(run, format, path, data, model, write, start):
    """Writes the model of a run, checks it, and returns `Exported`."""
    splits = finished.data_of(run, data)
    batch = next(iter(splits.test.take(slice(0, _CHECKED_EXAMPLES)).batches(_CHECKED_EXAMPLES)))
    inputs, labels = _arrays(batch[0]), batch[1] if len(batch) > 1 else None
    labels = None if labels is None or isinstance(labels, dict) else np.asarray(labels)
    calibration = next(iter(splits.train.take(slice(0, _CALIBRATION_EXAMPLES)).batches(_CALIBRATION_EXAMPLES)))[0]
    expected = np.asarray(model.predict_on_batch(inputs))
    model(_first(inputs))  # some converters want a model that was called outside of `predict`, too
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        temporary = Path(scratch) / path.name
        with _named(format):
            write(model, temporary, calibration)
            outputs = start(temporary)(inputs)
        done = _compare(format, path, outputs, expected, labels)
        os.replace(temporary, path)
    return done


@contextlib.contextmanager
def _named(format):
    """Turns what goes wrong inside a converter into one line."""
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    except KitError:
        raise
    except ImportError as error:
        raise KitError(f'{format}: {error.name or error} is not installed; pip install ".[export]"') from None
    except Exception as error:  # converters raise anything
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise KitError(f"{format} cannot carry this model: {reason}") from None


def _arrays(inputs):
    if isinstance(inputs, dict):
        return {name: np.asarray(value) for name, value in inputs.items()}
    return np.asarray(inputs)


def _first(inputs):
    return {name: value[:1] for name, value in inputs.items()} if isinstance(inputs, dict) else inputs[:1]


def _compare(format, path, outputs, expected, labels):
    if outputs.shape != expected.shape:
        raise KitError(f"{format}: gives outputs of shape {outputs.shape}, expected {expected.shape}")
    difference = float(np.abs(outputs - expected).max())
    lost = None
    if labels is not None and labels.shape == expected.shape[:-1]:
        real = labels >= 0
        right = [(each.argmax(-1) == labels)[real].mean() for each in (expected, outputs)]
        lost = float(right[0] - right[1])
    if format.endswith("int8"):
        if lost is None:
            raise KitError(f"{format}: this model answers with no classes, so that nothing tells what it loses")
        if lost > _MOST_LOST_ACCURACY:
            raise KitError(
                f"{format}: loses {lost:.1%} accuracy on {len(expected)} test examples; expected at most 1 %"
            )
    elif difference > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise KitError(
            f"{format}: its outputs differ by {difference:.2g} from the Keras model's; expected less than 1e-4"
        )
    return Exported(path, format, len(expected), difference, lost)


def _write_saved_model(model, path, calibration):
    model.export(path, format="tf_saved_model", verbose=False)


def _start_saved_model(path):
    import tensorflow as tf

    serve = tf.saved_model.load(str(path))
    return lambda inputs: serve.serve(_float(inputs)).numpy()


def _float(inputs):
    """Returns pixels as the numbers that a Keras input without a type takes."""
    if isinstance(inputs, dict):
        return inputs
    return inputs.astype("float32")


def _write_litert(model, path, calibration):
    _convert(model, path, None)


def _write_litert_int8(model, path, calibration):
    _convert(model, path, _float(_arrays(calibration)))


def _convert(model, path, calibration):
    import tensorflow as tf

    if any(type(layer).__name__ in ("LSTM", "GRU", "RNN", "SimpleRNN", "Bidirectional") for layer in _layers(model)):
        raise KitError(
            "litert cannot carry recurrent layers over sequences of any length; expected a model without them"
        )
    with tempfile.TemporaryDirectory() as scratch:
        model.export(Path(scratch) / "model", format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(scratch) / "model"))
        if calibration is not None:
            if isinstance(calibration, dict):
                raise KitError("litert_int8 takes models with one input of numbers; expected a model of images")
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([example[None]] for example in calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())


def _layers(model):
    return list(model._flatten_layers(include_self=False, recursive=True))


def _start_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))

    def run(inputs):
        arrays = inputs if isinstance(inputs, dict) else {"": _float(inputs)}
        details = interpreter.get_input_details()
        chosen = [next(value for name, value in arrays.items() if name in detail["name"]) for detail in details]
        for detail, value in zip(details, chosen, strict=True):
            interpreter.resize_tensor_input(detail["index"], value.shape)
        interpreter.allocate_tensors()
        for detail, value in zip(details, chosen, strict=True):
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def _write_onnx(model, path, calibration):
    import onnx  # noqa: F401 - Keras asks for it only after the conversion
    import tf2onnx  # noqa: F401

    model.export(path, format="onnx", verbose=False)


def _start_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs):
        arrays = inputs if isinstance(inputs, dict) else {"": _float(inputs)}
        feed = {
            node.name: next(value for name, value in arrays.items() if name in node.name)
            for node in session.get_inputs()
        }
        return session.run(None, feed)[0]

    return run


def _of_weights(run):
    """Returns how the published layout is written and run: that goes by a run's settings, not by its model alone."""
    from kit.commands import export_weights

    def start(path):
        model = run.recipe.task.exported(export_weights.read(run, path))
        return lambda inputs: np.asarray(model.predict_on_batch(inputs))

    return lambda model, path, calibration: export_weights.write(run, path), start


def _of_vectors(run):
    """Returns how word vectors are written, as word2vec writes them, and read back into the network."""
    from kit.commands import export_vectors

    def start(path):
        model = export_vectors.read(run, path)
        return lambda inputs: np.asarray(model.predict_on_batch(inputs))

    return lambda model, path, calibration: export_vectors.write(run, path), start


# Name of the file or folder, and how the format is written and run.
_FORMATS = {
    "saved_model": ("saved_model", _write_saved_model, _start_saved_model),
    "litert": ("model.tflite", _write_litert, _start_litert),
    "litert_int8": ("model_int8.tflite", _write_litert_int8, _start_litert),
    "onnx": ("model.onnx", _write_onnx, _start_onnx),
    "safetensors": ("safetensors", None, None),
    "word2vec": ("vectors.txt", None, None),
}
# Those that go by a run's settings, and not by its model alone.
_OF_RUNS = {"safetensors": _of_weights, "word2vec": _of_vectors}
FORMATS = tuple(_FORMATS)


def run(options, overrides):
    """Writes the model of a run in another format, and returns what was checked."""
    refuse_settings(overrides)
    done = export(options.run, options.format, options.output)
    lost = "" if done.accuracy_lost is None else f", {done.accuracy_lost:.2%} accuracy lost"
    print(f"{done.format}  {done.path}")
    print(f"checked on {done.examples:,} test examples: largest difference {done.difference:.2g}{lost}")
    return {**dataclasses.asdict(done), "path": str(done.path)}
