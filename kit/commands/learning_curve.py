"""`kit learning-curve`: estimates what twice as many training examples would give a finished run."""

from kit.commands.flags import refuse_settings
from kit.reporting import numbers
from kit.runs.learning_curve import learning_curve


def run(options, overrides):
    """Trains on parts of a run's training examples, prints the scores and the estimate, and returns them."""
    refuse_settings(overrides)
    found = learning_curve(options.run)
    name = found["score"]
    for count, score in zip(found["examples"], found["scores"], strict=True):
        print(f"{count:>9,} training examples  {name} {numbers.score(name, score)}")
    low, value, high = (numbers.score(name, found[key]) for key in ("low", "value", "high"))
    print(f"{found['doubled']:>9,} training examples  {name} about {value} (95 % interval {low} to {high}), estimated")
    return {"folder": options.run, **found}
