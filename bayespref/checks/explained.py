"""What of a nudge the parameters explain, where other answers put them: conjugate gradients from the fit."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.checks.orthogonal import Fit
from bayespref.checks.problem import Problem
from bayespref.comparisons import Comparisons

PROJECTIONS, TINY = 4, 1e-8
"""Steps from the part at the fit; information that is none."""


def explained_by(
    problem: Problem, rows: Comparisons, fit: Fit, z: Array, h: Array, counts: Array, weighed: Array
) -> tuple[Array, Array]:
    """The parameters' part (s, m, o) in nudges, and the slope (d + e,) of the log-likelihood.

    Args:
        problem: the model.
        rows: those (m,) that it tells apart.
        fit: the parts at the fit.
        z: (d,) parameters that are fitted again.
        h: (e,) parameters that are held.
        counts: (m, o) answers.
        weighed: (s, m, o) nudges times the expected number of answers.
    """
    d = len(z)

    def log_probs(theta: Array) -> tuple[Array, Array]:
        found = problem.log_probs(rows, theta[:d], theta[d:], counts)
        return jnp.where(jnp.isfinite(found), found, 0.0), jnp.isfinite(found)

    theta = jnp.concatenate([z, h])
    here, push, possible = jax.linearize(log_probs, theta, has_aux=True)
    pull = jax.linear_transpose(push, theta)
    expected = jnp.where(possible, jnp.exp(here), 0.0) * counts.sum(-1, keepdims=True)
    pulled = jax.vmap(lambda each: pull(each)[0])(jnp.concatenate([counts[None], weighed]))
    return projected(pulled[1:], expected, push, pull, fit), problem.slope(rows, z, h, pulled[0])


def projected(pulled: Array, expected: Array, push: Callable, pull: Callable, fit: Fit) -> Array:
    """(s, m, o) the parameters' part in nudges at these parameters; `pulled` (s, D) of expected nudges.

    Conjugate gradients from the part that they have at the fit, preconditioned by its information (steps of
    Newton's run away along what answers hardly inform). The part at the fit itself would leave replicates
    more information than the fit has: a check then rejected up to three times too often on a few hundred
    answers.
    """
    ridge = fit.ridge if fit.ridge.size else None

    def one(left: Array, at_fit: Array) -> Array:
        def descend(i, state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            part, left, step, size = state
            moved = push(step)
            bent = pull(expected * moved)[0] + (0.0 if ridge is None else ridge @ step)
            length = jnp.where(size > TINY, size / jnp.maximum(step @ bent, TINY), 0.0)
            length = jnp.where(i == 0, 1.0, length)  # the part at the fit, whole
            part, left = part + length * moved, left - length * bent
            ahead = fit.inverse @ left
            size, before = left @ ahead, jnp.where(i == 0, 0.0, size)
            step = ahead + jnp.where(before > TINY, size / jnp.maximum(before, TINY), 0.0) * step
            return part, left, step, size

        start = jnp.zeros_like(expected), left, at_fit, jnp.zeros(())
        return jax.lax.fori_loop(0, PROJECTIONS + 1, descend, start)[0]

    return jax.vmap(one)(pulled, fit.scalars)
