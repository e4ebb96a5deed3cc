"""Own texts: rules that decide the settings which are "auto" in `own.toml` of sentences and of pairs, by their words.

The numbers go between those of the settings that come with the recipes, which were tuned on 1,800 to 12,500 sentences
and 10,000 to 29,000 pairs.
"""

from kit.data import source_facts
from kit.tasks.own_data import OwnData, batches, by_weights, epochs_of_steps, rate_by_batch


def tagging_units(facts):
    """Wider for more words."""
    number = 64 if facts.tokens < 30_000 else 100 if facts.tokens < 150_000 else 128
    values = {"model.backbone": "bilstm_crf", "backbone.units": number}
    return values, f"{facts.tokens:,} training words"


def published_batch(facts):
    """At most 32 sentences: few epochs, and so many steps."""
    size, reason = batches(100, 16, "sentences")(facts)
    return min(size, 32), f"{reason}, published weights"


def published_rate(facts):
    """Published weights of Transformers take small steps."""
    return 3e-4, "published weights"


SENTENCES = OwnData(
    source_facts.of_sentences,
    {
        "train.batch_size": by_weights(batches(100, 16, "sentences"), published_batch),
        "train.epochs": by_weights(epochs_of_steps(1500, 6, "sentences"), epochs_of_steps(1000, 3, "sentences")),
        "model.backbone": tagging_units,
        "optimizer.learning_rate": by_weights(rate_by_batch(0.01, 64), published_rate),
    },
)


def vocabulary_size(facts):
    """As many pieces as there are half as many different words, 500 to 10,000."""
    number = min(max(round(facts.words / 2, -2), 500), 10_000)
    return int(number), f"{facts.words:,} different words"


def translator(facts):
    """A small Transformer; a wider one where there is something to fill it."""
    values = {"model.backbone": "transformer", "backbone.depth": 2, "backbone.feedforward_dim": 256}
    if facts.tokens > 400_000:
        values = {"model.backbone": "transformer_tiny"}
    return values | {"backbone.positions": "rotary", "backbone.dropout": 0.1}, f"{facts.tokens:,} training words"


def max_length(facts):
    """Four times the length that 99 of 100 sentences have: words are cut into pieces."""
    return min(max(4 * facts.length, 64), 512), f"99 of 100 sentences have at most {facts.length} words"


PAIRS = OwnData(
    source_facts.of_pairs,
    {
        "data.vocabulary_size": vocabulary_size,
        "data.max_length": max_length,
        "train.batch_size": batches(150, 32, "pairs"),
        "train.epochs": epochs_of_steps(2500, 5, "pairs"),
        "model.backbone": translator,
    },
)
