"""`kit train`: trains a run, carries one on, rehearses one, or looks for a learning rate."""

from kit import terminal
from kit.commands.flags import seed_of
from kit.errors import KitError
from kit.files import as_path, atomic
from kit.runs import finished, rehearsal
from kit.runs import run as training
from kit.runs.folder import last_unfinished
from kit.runs.python_inputs import stated_recipe


def run(options, overrides):
    """Trains a run, or several with different seeds or folds; returns the folder and the scores, if it has them."""
    recipe = options.recipe or stated_recipe(options.config, options.folder)
    if recipe is None:
        raise KitError("train: no recipe given; `kit list` prints them")
    folder = options.folder
    if options.resume:
        if folder:
            raise KitError("--resume: choose one of --resume and --folder")
        folder = last_unfinished(recipe)
    seed = seed_of(options)
    if options.output and not options.find_learning_rate:
        raise KitError("--output: belongs to --find-learning-rate")
    for flag, is_given in (("--dry-run", options.dry_run), ("--find-learning-rate", options.find_learning_rate)):
        if is_given and folder:
            raise KitError(f"{flag}: trains no run; expected neither --folder nor --resume")
    if options.dry_run and options.find_learning_rate:
        raise KitError("--dry-run: choose one of --dry-run and --find-learning-rate")
    if options.find_learning_rate:
        return _find_learning_rate(recipe, overrides, options, seed)
    if options.dry_run:
        with terminal.log_shown():
            return rehearsal.rehearse(recipe, overrides, config=options.config, seed=seed)
    with terminal.log_shown():
        done = training.train_with(recipe, overrides, config=options.config, folder=folder, seed=seed)
    if done is None:  # one of several processes that the environment has started; the first one says how it ends
        return {"folder": str(folder), "metrics": {}}
    used, why = done.folder, ""
    if isinstance(done, finished.Runs):
        used, why = done.best.folder, f"   # the best of {len(done.folders)} by validation"
        for split in ("test", "test_of_last_epoch"):
            terminal.print_over_seeds(done.metrics.get(split), split.replace("_", " "))
        if "out_of_fold" in done.metrics:
            terminal.print_scores(done.metrics["out_of_fold"], "out of fold")
        if done.settings["train"].get("folds") and done.recipe.task.ensemble is not None:
            used, why = done.folder, f" --ensemble true   # the mean of all {len(done.folders)} folds"
    else:
        terminal.print_scores(done.metrics["test"], "test")
    recipe = done.recipe
    use = recipe.task.example
    print(f"page  {done.folder / 'report.html'}\nuse   kit predict {used} {use}{why}")
    return {"folder": str(done.folder), "metrics": done.metrics}


def _find_learning_rate(recipe, overrides, options, seed):
    from kit.reporting import plots
    from kit.reporting import range_test as curve

    path = as_path(options.output, "output") if options.output else None
    if path and (path.suffix != ".png" or not path.parent.is_dir()):
        raise KitError(f"--output: {str(path)!r}; expected a .png file in a folder that exists")
    with terminal.log_shown():
        found = rehearsal.range_test(recipe, overrides, config=options.config, seed=seed)
    if not options.json:
        print(f"    rate      loss\n{curve.lines(found.table)}")
        print(
            f"use   --optimizer.learning_rate {found.learning_rate:.1e}   (the loss was lowest at {found.highest:.1e})"
        )
    if path:
        with atomic(path) as temporary:
            plots.save(curve.figure(found.table, found.learning_rate), temporary)
        print(f"curve {path}")
    return {"learning_rate": found.learning_rate, "highest": found.highest, "curve": found.table.to_dict("list")}
