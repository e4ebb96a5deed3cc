"""Brackets of Keras Tuner's Hyperband: the trials that it has begun, and those still to be trained on.

A bracket is a number of trials that begin with few epochs; in each further round the best of them go on.
"""


def spent(hyperband):
    """Returns the epochs that were given to trials, each epoch of a trial that went on counted once."""
    values = [trial.hyperparameters.values for trial in hyperband.trials.values()]
    return sum(each["tuner/epochs"] - each["tuner/initial_epoch"] for each in values)


def has_room(hyperband, epochs):
    """Says whether one more trial fits into so many epochs.

    What brackets that were begun still need to train their best on is kept for that: otherwise a worker that waits for
    a round's end would spend it on the next bracket.
    """
    used = spent(hyperband)
    ready = [needed for bracket in hyperband._brackets if (needed := _ready(hyperband, bracket))]
    if ready:
        return used + ready[0] <= epochs
    owed = sum(_owed(hyperband, bracket) for bracket in hyperband._brackets if _is_full(hyperband, bracket))
    filling = [bracket["bracket_num"] for bracket in hyperband._brackets if not _is_full(hyperband, bracket)]
    if filling:
        return used + owed + hyperband._get_epochs(filling[0], 0) <= epochs
    number = (hyperband._current_bracket - 1) % hyperband._get_num_brackets()
    first = hyperband._get_epochs(number, 0)
    if owed and number:  # the whole bracket, or it would take from what is owed to the others
        empty = {"bracket_num": number, "rounds": [[]] * hyperband._get_num_rounds(number)}
        first = first * hyperband._get_size(number, 0) + _owed(hyperband, empty)
    return used + owed + first <= epochs


def may_go_on(hyperband, ranked):
    """Returns the folders that Hyperband may train on in.

    Args:
        hyperband: Keras Tuner's oracle.
        ranked: Records of all trials that ended with a score, the best first.
    """
    found = set()
    for bracket in hyperband._brackets:
        for index, entries in enumerate(bracket["rounds"][:-1]):
            numbers = {int(entry["id"]) for entry in entries}
            best = [record["folder"] for record in ranked if record["trial"] in numbers]
            found |= set(best[: hyperband._get_size(bracket["bracket_num"], index + 1)])
    return found


def _is_full(hyperband, bracket):
    return len(bracket["rounds"][0]) >= hyperband._get_size(bracket["bracket_num"], 0)


def _ready(hyperband, bracket):
    """Returns the epochs of the trial that the oracle, asked now, would let go on in the bracket; 0 for none."""
    number, rounds = bracket["bracket_num"], bracket["rounds"]
    for index in range(1, len(rounds)):  # Keras Tuner's own rule
        selected = {entry["past_id"] for entry in rounds[index]}
        earlier = [entry["id"] for entry in rounds[index - 1] if entry["id"] not in selected]
        done = [name for name in earlier if hyperband.trials[name].status == "COMPLETED"]
        if len(done) > hyperband._get_size(number, index - 1) - hyperband._get_size(number, index):
            return hyperband._get_epochs(number, index) - hyperband._get_epochs(number, index - 1)
    return 0


def _owed(hyperband, bracket):
    """Returns the epochs that a bracket's further rounds still need."""
    number, rounds = bracket["bracket_num"], bracket["rounds"]
    return sum(
        (hyperband._get_size(number, index) - len(rounds[index]))
        * (hyperband._get_epochs(number, index) - hyperband._get_epochs(number, index - 1))
        for index in range(1, len(rounds))
    )
