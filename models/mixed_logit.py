"""Mixed logit: every annotator weighs the attributes in their own way."""

import jax
import jax.numpy as jnp
import numpy as np

import bayespref as bp
from bayespref import choices, populations, rewards


def mixed_logit(comparisons, *, common=(), scale=1.0, spread=1.0, correlated=True):
    """Tastes by annotator: utility = (coefficient + taste_a) . x, taste_a ~ Normal(0, D R D).

    `coefficient` is the mean taste, `taste_sd`, the diagonal of D, how far annotators spread around it, both
    in log-odds for one unit of each attribute. Also known as random-coefficients logit (McFadden and Train,
    2000). With two attributes, a priori half of pairs have a win probability between .10 and .90.

    Args:
        comparisons: choices with annotators and attributes (features).
        common: names of attributes that everyone weighs the same.
        scale: prior standard deviation of a standardised mean coefficient, in log-odds.
        spread: prior scale of a standardised taste's standard deviation, in log-odds.
        correlated: whether tastes hang together over annotators; else R is the identity.
    """
    common = (common,) if isinstance(common, str) else tuple(common)
    names = comparisons.feature_names
    if unknown := set(common) - set(names):
        raise ValueError(f"common names attributes among {names}; got {sorted(unknown)}.")
    varying = np.array([index for index, name in enumerate(names) if name not in common])
    if not len(varying):
        raise ValueError(
            "mixed logit has at least one attribute that annotators weigh differently; got attributes "
            f"{names}, common {common}. Read attributes, or fit conditional_logit."
        )
    constant = 0.0
    if "features" in comparisons.shown_columns:
        constant = rewards.item_table(comparisons, name="constant", scale=scale)[comparisons.shown]
    mean, unit = comparisons.design.feature_mean, comparisons.design.feature_scale[varying]
    reward = rewards.linear(comparisons, scale=scale)
    coefficient = jax.grad(reward)(mean)
    taste = populations.by_annotator(
        "taste",
        comparisons,
        spread=spread / unit,
        over="taste_feature",
        labels=[names[i] for i in varying],
        correlated=correlated,
        around=coefficient[varying],
    )
    weights = jnp.broadcast_to(coefficient, (len(taste), len(names))).at[:, varying].add(taste)
    utility = jnp.einsum("nkd,nd->nk", comparisons.features - mean, weights[comparisons.annotator])
    bp.observe(comparisons, choices.logit(constant + utility))
