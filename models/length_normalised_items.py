"""Length-normalised log-densities decide: texts of different length."""

import bayespref as bp
from bayespref import behaviours, choices, rewards


def length_normalised_items(comparisons, *, scale=None, longest=None):
    """One shared density over items; the annotator compares log p(x) per unit of length.

    logit P(a over b) = L (log p(a) / |a| - log p(b) / |b|), L the greatest length. Unlike Luce's rule it
    depends on the normaliser of p. A priori 95 % of pairs, of one length, have a win probability between .01
    and .99. Source: arXiv 2311.14115, the language-model experiments.

    Args:
        comparisons: answers without ties; items have a column `length`, all of them positive.
        scale: prior standard deviation of log-densities in nats; None learns it from the data.
        longest: L, in the unit of `length`; None takes the greatest length among the items.
    """
    length = comparisons.items.column("length")
    log_density = rewards.item_table(comparisons, scale=scale)
    behaviour = behaviours.length_normalised(length, length.max() if longest is None else longest)
    score = behaviour(log_density)[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
