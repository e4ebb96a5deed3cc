"""Rules that imitate a network: a small decision tree fitted to its answers, written as conditions.

Craven and Shavlik, "Extracting Tree-Structured Representations of Trained Networks", 1996.
"""

import dataclasses

import numpy as np

from kit.reporting.numbers import digits


@dataclasses.dataclass(frozen=True)
class Rule:
    """Conditions that all hold, and the answer then.

    Args:
        conditions: Texts such as `age <= 30.5`.
        answer: Name of a class, or a number.
        rows: Rows that it is for, of those that rules are measured on.
        fidelity: Share of them to which the network answers the same; of numbers its mean absolute distance.
    """

    conditions: tuple
    answer: object
    rows: int
    fidelity: float

    def __str__(self):
        told = " and ".join(self.conditions) or "always"
        return f"if {told}: {self.answer}"


@dataclasses.dataclass(frozen=True)
class Feature:
    """A column of numbers that rules may ask for.

    Args:
        name: What it is called.
        value: Value of a category that the column is 1 for; None of numbers.
        unit: Function from a bound to the unit of the data.
    """

    name: str
    value: str | None = None
    unit: object = float


def extracted(features, columns, answers, held_out, held_out_answers, most, names):
    """Returns rules that imitate answers, and how faithful they are to held-out ones.

    Args:
        features: `Feature` of each column.
        columns: (rows, columns), which the rules are fitted to.
        answers: What the network answers to them: class (rows,), or number.
        held_out, held_out_answers: The same of other rows, on which they are measured.
        most: Most rules.
        names: Name of each class; None of numbers.

    Returns:
        List of `Rule`, those of most rows first; and their fidelity: the share of equal answers, or R² of numbers.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    make = DecisionTreeRegressor if names is None else DecisionTreeClassifier
    least = max(1, min(20, len(answers) // 50))
    for leaves in range(max(most, 2), 3 * most + 1):  # leaves that answer alike become one rule
        grown = make(max_leaf_nodes=leaves, min_samples_leaf=least, random_state=0).fit(columns, answers)
        found = _merged(_leaves(grown.tree_, features, (), 0, names, grown))
        if len(found) > max(most, 2):
            break
        tree, merged = grown, found
        if grown.get_n_leaves() < leaves:
            break
    told, leaves = tree.predict(held_out), tree.apply(held_out)
    rules = []
    for conditions, answer, nodes in merged:
        rows = np.isin(leaves, nodes)
        if names is None:
            fidelity = float(np.abs(told[rows] - held_out_answers[rows]).mean()) if rows.any() else float("nan")
        else:
            fidelity = float((told[rows] == held_out_answers[rows]).mean()) if rows.any() else float("nan")
        rules.append(Rule(conditions, answer, int(rows.sum()), fidelity))
    if names is None:
        error = ((told - held_out_answers) ** 2).sum()
        whole = 1 - float(error / max(((held_out_answers - held_out_answers.mean()) ** 2).sum(), 1e-30))
    else:
        whole = float((told == held_out_answers).mean())
    return sorted(rules, key=lambda rule: -rule.rows), whole


def _leaves(tree, features, conditions, node, names, model):
    """Yields the conditions, the answer and the number of each leaf."""
    if tree.children_left[node] < 0:
        values = tree.value[node].ravel()
        answer = digits(float(values[0])) if names is None else str(names[model.classes_[values.argmax()]])
        yield conditions, answer, [node]
        return
    feature, bound = features[tree.feature[node]], tree.threshold[node]
    yield from _leaves(tree, features, (*conditions, (feature, False, bound)), tree.children_left[node], names, model)
    yield from _leaves(tree, features, (*conditions, (feature, True, bound)), tree.children_right[node], names, model)


def _merged(leaves):
    """Returns conditions in words, answer and leaves; two leaves that differ in their last question alone are one."""
    found = list(leaves)
    changed = True
    while changed:
        changed = False
        for row in range(len(found) - 1):
            (one, answer, nodes), (other, same, more) = found[row], found[row + 1]
            is_pair = one and other and one[:-1] == other[:-1] and one[-1][::2] == other[-1][::2]
            if is_pair and answer == same:
                found[row : row + 2] = [(one[:-1], answer, nodes + more)]
                changed = True
                break
    return [(_in_words(conditions), answer, nodes) for conditions, answer, nodes in found]


def _in_words(conditions):
    """Returns conditions as texts; several bounds of one column become one or two."""
    above, below, values, order = {}, {}, {}, []
    for feature, is_above, bound in conditions:
        if feature.name not in order:
            order.append(feature.name)
        if feature.value is not None:
            values.setdefault(feature.name, []).append((feature.value, is_above))
        elif is_above:
            above[feature.name] = max(above.get(feature.name, -np.inf), feature.unit(bound))
        else:
            below[feature.name] = min(below.get(feature.name, np.inf), feature.unit(bound))
    found = []
    for name in order:
        if name in values:
            yes = [value for value, is_one in values[name] if is_one]
            found.append(
                f"{name} is {yes[0]}" if yes else f"{name} is not {' or '.join(value for value, _ in values[name])}"
            )
        low, high = above.get(name), below.get(name)
        if low is not None and high is not None:
            found.append(f"{digits(low)} < {name} <= {digits(high)}")
        elif low is not None:
            found.append(f"{name} > {digits(low)}")
        elif high is not None:
            found.append(f"{name} <= {digits(high)}")
    return tuple(found)
