"""One of several tasks, by what the data ask for: their asset `answer` says which one scores, predicts and shows."""

import inspect
import typing

from kit import config
from kit.errors import KitError, SettingError
from kit.tasks.recipe import Task


def by_answer(tasks):
    """Returns a `Task` that hands all that is asked of it to one of several, which the data decide.

    Its settings are those of all of them; one that the task at hand has no use for is refused unless it is the default.
    `Splits.monitors` of the data names the monitors of the task at hand.

    Args:
        tasks: Value of the asset `answer` to `Task`; the first is meant where the assets say nothing. What does not
            depend on the answer, such as `inputs` and `show`, is the first one's.
    """
    first = next(iter(tasks))

    def of(assets):
        return tasks[assets.get("answer", first)]

    def hints(history, best_epoch, examples, assets):
        return of(assets).hints(history, best_epoch, examples, assets)

    def pooled(predictions, assets, settings):
        return of(assets).pooled(predictions, assets, settings)

    def baseline(splits, settings, seconds):
        return of(splits.assets).baseline(splits, settings, seconds)

    each = tasks.values()
    explained = {answer: task.explain or _unexplained(answer) for answer, task in tasks.items()}
    return Task(
        monitors={name: direction for task in each for name, direction in task.monitors.items()},
        shares=tuple(name for task in each for name in task.shares),
        evaluate=_any_of({answer: task.evaluate for answer, task in tasks.items()}, first),
        predict=_any_of({answer: task.predict for answer, task in tasks.items()}, first),
        calibrate=_any_of({answer: task.calibrate or _nothing for answer, task in tasks.items()}, first, False),
        hints=hints,
        inputs=tasks[first].inputs,
        show=tasks[first].show,
        pooled=pooled,
        ensemble=("answer", *dict.fromkeys(name for task in each for name in task.ensemble)),
        baseline=baseline,
        explain=_any_of(explained, first) if tasks[first].explain else None,
    )


def _nothing(model, examples, assets):
    """Returns what is fitted to the validation split after training: nothing."""
    return {}


def _unexplained(answer):
    """Returns what explains answers of a kind that cannot be explained: a function that says so."""

    def explain(model, inputs, assets):
        raise KitError(f"answers of the kind {answer!r} cannot be explained; those with one label can")

    return explain


def _any_of(functions, first, is_strict=True):
    """Returns a function `(model, given, assets, *, settings)` that calls the one of several that the assets name.

    Its signature and docstring have the settings of all, so that they are the schema.

    Args:
        functions: Value of the asset `answer` to function.
        first: The value that is meant where the assets say nothing.
        is_strict: Refuse settings that the function has no use for, rather than leave them out.
    """
    parameters, hints, meanings = {}, {}, {}
    for function in functions.values():
        hints |= typing.get_type_hints(function)
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                parameters.setdefault(name, parameter)
        for setting in config.settings_of(function):
            meanings.setdefault(setting.key, setting.meaning)

    def called(model, given, assets, **settings):
        answer = assets.get("answer", first)
        known = inspect.signature(functions[answer]).parameters
        for name in settings.keys() - known.keys():
            if is_strict and settings[name] != parameters[name].default:
                raise SettingError(
                    name, f"expected {parameters[name].default!r}: it means nothing where data.answer is {answer!r}"
                )
        return functions[answer](model, given, assets, **{key: settings[key] for key in settings if key in known})

    positional = list(inspect.signature(called).parameters.values())[:3]
    called.__signature__ = inspect.Signature([*positional, *parameters.values()])
    called.__annotations__ = {name: hints[name] for name in parameters if name in hints}
    arguments = "\n".join(f"    {name}: {meanings[name]}" for name in parameters if meanings.get(name))
    summary = (functions[first].__doc__ or "").partition("\n")[0]
    called.__name__, called.__doc__ = functions[first].__name__, f"{summary}\n\nArgs:\n{arguments}\n"
    return called
