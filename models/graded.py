"""Graded answers: how strongly one of two is preferred."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import choices, rewards


def graded(comparisons, *, levels=None, scale=None, step_spread=1.5):
    """One shared reward; the stronger the difference, the stronger the word used for it.

    P(level <= j) = sigma(r(a) - r(b) + c_j) with cut-points symmetric about zero, so swapping sides mirrors
    the levels; an odd number of levels has "about the same" in the middle. Items by name have worths, items
    with attributes a linear reward. With two attributes, a priori half of pairs have a probability of
    "better" against "worse" between .06 and .94. Source: Agresti (1992).

    Args:
        comparisons: graded answers to pairs.
        levels: how many, to simulate; None takes them from the answers.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        step_spread: prior scale of the distances between cut-points in log-odds.
    """
    levels = levels or comparisons.levels
    if levels < 2:
        raise ValueError("graded needs answers in levels, or levels=... to simulate; got neither.")
    score = rewards.from_columns(comparisons, scale=scale)
    number = (levels - 1) // 2
    if number:
        with numpyro.plate("step", number):
            steps = numpyro.sample("steps", dist.HalfNormal(step_spread))
    else:
        steps = jnp.zeros(0)
    bp.observe(comparisons, choices.graded(score, steps, middle=levels % 2 == 1))
