"""The temperature at which a loss's posterior is as wide as its answers are noisy."""

from __future__ import annotations

import jax
import numpy as np
import xarray as xr
from jax import Array

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import data_of, latent_of
from bayespref.inference.program import Model, Values, choice_of, map_draws, run
from bayespref.losses import NAMES, Loss

DRAWS = 32


def matched_temperature(model: Model, fit: xr.DataTree) -> float:
    """Temperature that matches a loss's curvature with its noise: mean slope^2 / mean curvature.

    With l the loss of an answer as a function of its margin, E[l'^2] / E[l''] over answers and draws: divided
    by it, the loss has the variance of slopes that a likelihood would have (information equality). For IPO it
    is twice the mean loss. One number for all directions, so intervals are right on average over them. Fit
    again with it. Source: Lyddon, Holmes and Walker (2019).

    Args:
        model: that made the fit; its answers end in a loss from `losses`.
        fit: by any temperature that lets answers outweigh the prior.

    Returns:
        The temperature, to be given to the loss.

    Raises:
        ValueError: for a fit by a likelihood, or a loss without curvature at any answer.

    Example:
        >>> temperature = matched_temperature(ipo_model, fit)  # doctest: +SKIP
    """
    comparisons = data_of(fit)
    if (name := choice_of(model, comparisons)) not in NAMES:
        raise refuse("losses have a temperature", f"the likelihood {name}", remedy="It needs none.")

    @jax.jit
    def moments(comparisons: Comparisons, latent: Values) -> tuple[Array, Array]:
        def one(values: Values) -> tuple[Array, Array]:
            answers = run(model, comparisons, values)["outcome"]["fn"]
            loss: Loss = answers.choice
            difference = loss.score[..., 0] - loss.score[..., 1]
            margin = jax.numpy.where(comparisons.outcome == 0, difference, -difference)
            ones = jax.numpy.ones_like(margin)
            slope = lambda h: jax.grad(lambda x: loss.losses(x).sum())(h)  # noqa: E731
            first, second = jax.jvp(slope, (margin,), (ones,))
            weight = answers.count * answers.weight
            return (weight * first**2).sum(), (weight * second).sum()

        return map_draws(one, latent)

    latent = latent_of(fit)
    size = len(next(iter(latent.values())))
    some = np.unique(np.linspace(0, size - 1, min(DRAWS, size)).astype(int))
    noise, curvature = moments(comparisons, {key: value[some] for key, value in latent.items()})
    if not float(curvature.mean()) > 0:
        raise refuse("the loss is curved at some answers", "curvature 0", remedy="Smooth it more.")
    return float(noise.mean() / curvature.mean())
