"""`kit tune`: searches a recipe's settings, or carries a study on."""

from kit import terminal
from kit.commands.flags import seed_of
from kit.errors import KitError
from kit.runs.python_inputs import stated_recipe
from kit.tuning import study


def run(options, overrides):
    """Searches a recipe's settings; returns the folder of the study and its best trial."""
    recipe = options.recipe or stated_recipe(options.config, options.folder, "study.toml")
    if recipe is None:
        raise KitError("tune: no recipe given; `kit list` prints them")
    with terminal.log_shown():
        done = study.tune_with(recipe, overrides, config=options.config, folder=options.folder, seed=seed_of(options))
    if done.retrained:
        terminal.print_scores(done.retrained, "test")
    return {
        "folder": str(done.folder),
        "monitor": done.monitor,
        "score": done.score,
        "best": done.best,
        "trials": len(done.trials),
        "saved_epochs": done.saved_epochs,
        "retrained": done.retrained,
    }
