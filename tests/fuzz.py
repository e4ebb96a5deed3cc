"""Fuzz test of settings: values that nobody should give, in every setting of every recipe.

    .venv/bin/python -m tests.fuzz --seed 3 --tries 300 --rehearsed 20

Each try is a command line with one to three settings changed. It is to be refused in one line that names what is wrong,
or accepted; a few of the accepted ones are rehearsed, with compiled functions off, in a process with limits on time and
memory: there, too, either one line or numbers.
"""

import argparse
import contextlib
import dataclasses
import math
import random
import resource
import signal
import sys
import typing

from kit import config, recipes
from kit.errors import KitError
from kit.runs import schema as schemas
from kit.runs import settings as run_settings
from tests import processes
from tests.conformance import CONFIG

# For any setting.
_HOSTILE = (
    *(
        "",
        " ",
        "none",
        "null",
        "true",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "9" * 5000,
        "0x10",
        "1_000",
        "--",
        "=",
        "[",
        "[]",
    ),
    *("[[]]", "[1", "{}", "{a: 1}", "é☃", "‮x", "\x1b[31m", "$(touch x)", "`x`", "';", "../..", "/dev/full", "*"),
)
_NUMBERS = ("-1", "0", "1", "2", "3", "-0.0", "0.5", "1e-30", "1e30", "1000000000000", "1.5", "-7", "100000")
_LISTS = ("[0]", "[1]", "[1,1]", "[-1]", "[0,0]", "[1,2,3,4,5,6,7,8]", "[a]", "[a,a]", "[0.5]", "[1000000000000]")
# Bytes of address space that a rehearsal may ask for beside what it begins with (the largest default, 110 million
# parameters and an optimizer of three moments, asks for six gigabytes and uses three), and seconds that it may take.
_MEMORY, _SECONDS = 9 << 30, 240
# Those whose values reach the outside: other files, devices and modules are not this test's subject.
_LEFT_ALONE = ("data.source", "train.devices", "train.start_from")


@dataclasses.dataclass(frozen=True)
class Try:
    """A command with settings that it may refuse.

    Args:
        recipe: Name of the recipe.
        changed: Flat dictionary of the settings changed, texts as they are typed.
        refused: What the kit said; None where it accepts them.
        fault: What is wrong with that; None where nothing is.
    """

    recipe: str
    changed: dict
    refused: str | None
    fault: str | None

    def __str__(self):
        words = " ".join(f"--{key}={value[:40]!r}" for key, value in self.changed.items())
        return f"kit train {self.recipe} --config {CONFIG} {words}: {self.fault or self.refused or 'accepted'}"


def tries(name, count, seed):
    """Yields `Try`s of a recipe, the same for the same seed."""
    draw, schema = random.Random(f"{name} {seed}"), schemas.get(name)
    for _ in range(count):
        chosen = _choices(schema, draw)
        with contextlib.suppress(KitError):  # an optimizer and a schedule that exclude each other
            offered = run_settings.settings_of(schema, chosen)
            offered = [setting for setting in offered if setting.key not in _LEFT_ALONE]
            picked = draw.sample(offered, draw.choice((1, 1, 1, 2, 3)))
            changed = chosen | {setting.key: value_for(setting, draw) for setting in picked}
            yield resolved(name, {key: config.Text(value) for key, value in changed.items()})


def _choices(schema, draw):
    """Returns at times another backbone, optimizer or schedule, which have settings of their own."""
    chosen = {}
    for key, variants in schema.backbones.items():
        if draw.random() < 0.3:
            chosen[f"model.{key}"] = draw.choice(sorted(variants))
    if draw.random() < 0.3:
        chosen["optimizer.name"] = draw.choice(sorted(schema.optimizers))
    if draw.random() < 0.3:
        chosen["optimizer.schedule"] = draw.choice(sorted(schema.schedules))
    return chosen


def value_for(setting, draw):
    """Returns a text for a setting: of its kind and strange, or of any other kind."""
    kinds = {setting.type, *typing.get_args(setting.type)}
    options = [
        str(each) for kind in kinds if typing.get_origin(kind) is typing.Literal for each in typing.get_args(kind)
    ]
    pools = [_HOSTILE]
    if options:
        pools += [options, [option.upper() for option in options], [f"{option}x" for option in options]]
    if any(typing.get_origin(kind) in (tuple, list) for kind in kinds):
        pools += [_LISTS] * 4
    if any(isinstance(kind, type) and issubclass(kind, int | float) and kind is not bool for kind in kinds):
        pools += [_NUMBERS] * 6
    if bool in kinds:
        pools += [("true", "false", "True", "2")] * 2
    return draw.choice(draw.choice(pools))


def resolved(name, changed):
    """Returns the `Try` of checking settings, which needs neither data nor TensorFlow."""
    try:
        run_settings.resolve(schemas.get(name), CONFIG, changed, None)
    except KitError as error:
        return Try(name, changed, str(error), _fault_of(str(error), changed))
    except Exception as error:
        return Try(name, changed, None, f"{type(error).__name__}: {error}"[:300])
    return Try(name, changed, None, None)


def _fault_of(message, changed):
    """Returns what is wrong with a refusal, or None."""
    if "\n" in message or "\x1b" in message:
        return f"not one line of plain text: {message!r}"
    if not any(key in message or key.rpartition(".")[2] in message for key in changed):
        return f"names no setting that was given: {message!r}"
    return None


def rehearsed(attempt):
    """Returns the `Try` of building the model and taking three steps with settings that were accepted."""
    ended = processes.call(_rehearse, attempt.recipe, attempt.changed)
    if ended.status == -signal.SIGALRM:
        return dataclasses.replace(attempt, fault=f"not done after {_SECONDS} seconds")
    if ended.status:
        return dataclasses.replace(attempt, fault=f"ended with {ended.status}: {ended.output.strip()[-300:]}")
    refused, seconds = ended.result
    if refused is None:
        return dataclasses.replace(attempt, fault=None if math.isfinite(seconds) else "no time of a step")
    fault = "not one line" if "\n" in refused else None
    return dataclasses.replace(attempt, refused=refused, fault=fault)


def _rehearse(name, changed):
    import tensorflow as tf

    from kit.runs.rehearsal import rehearse

    signal.alarm(_SECONDS)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
    tf.config.run_functions_eagerly(True)
    try:
        return None, rehearse(name, changed, config=CONFIG)["seconds_per_step"]
    except KitError as error:
        return str(error), 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", default="0")
    parser.add_argument("--tries", type=int, default=300, help="of each recipe")
    parser.add_argument("--rehearsed", type=int, default=10, help="of those that are accepted")
    parser.add_argument("--only", nargs="+", default=recipes.names(), help="names of recipes")
    arguments = parser.parse_args()
    faults = 0
    for name in arguments.only:
        found = list(tries(name, arguments.tries, arguments.seed))
        accepted = [each for each in found if each.fault is None and each.refused is None]
        further = [rehearsed(each) for each in spread(accepted, arguments.rehearsed, arguments.seed)]
        wrong = [each for each in (*found, *further) if each.fault]
        faults += len(wrong)
        print(f"{name}: {len(found)} tries, {len(accepted)} accepted, {len(further)} rehearsed, {len(wrong)} faults")
        for each in wrong:
            print(f"  {each}", flush=True)
    sys.exit(faults > 0)


def spread(accepted, count, seed):
    """Returns some of the accepted tries, drawn."""
    return random.Random(seed).sample(accepted, min(count, len(accepted)))


if __name__ == "__main__":
    main()
