"""Answers replicated from a fit: what it expects the same annotators, or others like them, to say."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from bayespref.checks.problem import Problem, split
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.program import Model, map_draws
from bayespref.inference.refit import unconstrained

MANY, CHUNK = 2000, 25
"""Parameters up to which their information is inverted; draws at a time."""


def draws_of(
    random: np.random.Generator,
    model: Model,
    fit: xr.DataTree,
    data: Comparisons,
    rows: Comparisons,
    size: int,
):
    """The problem, and `size` posterior draws as vectors z (s, d) and h (s, e)."""
    total = fit["latent"].sizes["chain"] * fit["latent"].sizes["draw"]
    which = random.permutation(np.linspace(0, total - 1, size).round().astype(int))
    sites = unconstrained(model, fit, data, which)
    if sites is None:
        raise refuse("a fit's draws lie inside the support of their sites", "none that do")
    problem, z, h = split(
        model, rows, {name: np.resize(v, (size, *v.shape[1:])) for name, v in sites.items()}
    )
    if (parameters := z.shape[1] + h.shape[1]) > MANY:
        raise refuse(
            f"checks are of models with at most {MANY} parameters",
            f"{parameters}",
            remedy="Check a smaller model of the same annotators, or the answers of fewer of them.",
        )
    return problem, z, h


@functools.partial(jax.jit, static_argnames=("problem",))
def by_drawn_class(problem: Problem, rows: Comparisons, z: Array, h: Array, key: Array) -> Array:
    """(s, m, o) probabilities of answers of every draw, of annotators drawn into latent classes."""

    def one(draw) -> Array:
        z, h, key = draw
        answers = problem.answers(rows, z, h)
        weights = jnp.broadcast_to(answers.log_weight, (answers.annotators, len(answers.components)))
        who = jax.random.categorical(key, weights)
        drawn = answers.given(jnp.log(jax.nn.one_hot(who, weights.shape[-1])))
        return jnp.exp(drawn.outcome_log_probs())

    return map_draws(one, (z, h, jax.random.split(key, len(z))), chunk=CHUNK)
