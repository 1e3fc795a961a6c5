"""Direct preference optimisation, as an assumption about the annotator, on a line."""

import bayespref as bp
from bayespref import behaviours, choices, rewards, supports


def dpo_1d(comparisons, *, beta=1.0, low=-10.0, high=10.0, kernel="matern52", length=None, basis=64):
    """One density p(x); the annotator compares beta log(p(x) / reference(x)).

    logit P(a over b) = beta (log p(a) / ref(a) - log p(b) / ref(b)). Answers of a Luce annotator with
    density p* lead it to reference p*^(1 / beta) / Z; answers of an annotator who behaves so, to p* itself.
    A priori half of pairs, some units apart, have a win probability between .03 and .97. Source: Rafailov et
    al. (2023); read as an annotator's behaviour in arXiv 2311.14115.

    Args:
        comparisons: answers about points of a line without ties; items have a column `log_reference`
            (`answers.with_item_columns({"log_reference": ...})`), the reference's log-density there.
        beta: inverse temperature of the comparison.
        low: lower bound of the support; points outside are refused.
        high: upper bound.
        kernel: of the Gaussian process.
        length: prior of the length-scale, in units of x; None takes the reward's.
        basis: number of basis functions.
    """
    support = supports.interval(low, high)
    log_density = rewards.gp(support, kernel=kernel, length=length, basis=basis)
    behaviour = behaviours.dpo(beta, comparisons.items.column("log_reference"))
    score = behaviour(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
