"""A posterior as a function of two vectors, and its Hessian in one of them, put together row by row.

The answers' part of a Hessian is a sum over rows, each of which depends on a few numbers (the scores of what
was shown): J' W J. That costs far less than a Hessian column by column, and is exact.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro import handlers
from numpyro.infer.util import constrain_fn, potential_energy

from bayespref.choices import Choice
from bayespref.comparisons import Comparisons
from bayespref.inference.program import Model, run
from bayespref.observation import Counted

FEW = 64
"""Rows below which the Hessian is taken whole: so few that what all share may look like a row."""


class Declared(NamedTuple):
    """A model, and how its sites are made of the vectors theta (q,) and z (d,)."""

    model: Model
    unravel_theta: Callable
    unravel_z: Callable

    def sites(self, theta: Array, z: Array) -> dict[str, Array]:
        """Every sampled site, unconstrained."""
        return self.unravel_theta(theta) | self.unravel_z(z)

    def potential(self, comparisons: Comparisons, theta: Array, z: Array) -> Array:
        """Negative log posterior density in unconstrained space, up to a constant."""
        return jnp.asarray(potential_energy(self.model, (comparisons,), {}, self.sites(theta, z)))

    def prior(self, comparisons: Comparisons, theta: Array, z: Array) -> Array:
        """The same without the answers."""
        silent = handlers.block(self.model, hide=["outcome"])
        return jnp.asarray(potential_energy(silent, (comparisons,), {}, self.sites(theta, z)))

    def answers(self, comparisons: Comparisons, theta: Array, z: Array) -> Any:
        """What the model observes."""
        values = constrain_fn(self.model, (comparisons,), {}, self.sites(theta, z))
        return run(self.model, comparisons, values)["outcome"]["fn"]

    def slopes(self, comparisons: Comparisons, theta: Array, z: Array) -> tuple[Array, tuple[Array, Array]]:
        """Potential, and its gradients in theta and z."""
        return jax.value_and_grad(self.potential, argnums=(1, 2))(comparisons, theta, z)

    def curvature(self, comparisons: Comparisons, theta: Array, z: Array) -> tuple[Rows | None, Array]:
        """Hessian in z: what the rows contribute, to be multiplied out, and the rest (d, d).

        The rest is that of the prior, of what all rows share, and of what curves in z itself: no more than a
        normaliser for a Gaussian process. It is the whole for few rows, choices of NumPyro's own and latent
        classes.
        """
        answers = self.answers(comparisons, theta, z)
        by_rows = isinstance(answers, Counted) and isinstance(answers.choice, Choice)
        if not by_rows or len(comparisons) < FEW:
            return None, jax.hessian(self.potential, argnums=2)(comparisons, theta, z)

        def parts(x: Array) -> tuple[Array, Array]:
            return _split(self.answers(comparisons, theta, x), comparisons)[:2]

        (rows, shared), push = jax.linearize(parts, z)
        log_prob = _split(self.answers(comparisons, theta, z), comparisons)[2]
        slope = jax.grad(lambda r, s: -log_prob(r, s).sum(), argnums=(0, 1))
        pull, press = slope(rows, shared)

        def along(row: Array, common: Array) -> tuple[Array, Array]:
            return jax.jvp(slope, (rows, shared), (jnp.broadcast_to(row, rows.shape), common))[1]

        p, m = rows.shape[1], len(shared)
        own = [along(unit, jnp.zeros(m))[0] for unit in jnp.eye(p)]
        crossed = [along(jnp.zeros(p), unit) for unit in jnp.eye(m)]
        jacobian, common = jax.vmap(push, in_axes=1, out_axes=-1)(jnp.eye(len(z), dtype=z.dtype))

        def bent(x: Array) -> Array:
            return self.prior(comparisons, theta, x) + sum(
                jnp.vdot(weight, part) for weight, part in zip((pull, press), parts(x), strict=True)
            )

        rest = jax.hessian(bent)(z)
        if m:
            rest = rest + common.T @ jnp.stack([c[1] for c in crossed]) @ common
        cross = jnp.stack([c[0] for c in crossed], -1) if m else jnp.zeros((*rows.shape, 0))
        return Rows(jacobian, jnp.stack(own, -1), cross, common), rest


class Rows(NamedTuple):
    """J' W J + J' C S + (J' C S)' in parts: J (n, p, d), W (n, p, p), C (n, p, m), S (m, d).

    J is that of the numbers that each row's answer depends on, S of those that all share (a temperature, the
    weights of a mixture); W and C are second derivatives of the answers' log-probabilities.
    """

    jacobian: Array
    weight: Array
    cross: Array
    shared: Array


@jax.jit
def multiply(rows: Rows) -> Array:
    """(d, d) contribution of the rows; compiled apart from its parts, which halves its time."""
    p, d = rows.jacobian.shape[1:]
    weighted = sum(rows.weight[:, :, q, None] * rows.jacobian[:, q, None, :] for q in range(p))
    flat = rows.jacobian.reshape(-1, d)
    mixed = flat.T @ rows.cross.reshape(len(flat), -1) @ rows.shared
    return flat.T @ jnp.asarray(weighted).reshape(-1, d) + mixed + mixed.T


def _split(answers: Any, comparisons: Comparisons) -> tuple[Array, Array, Callable[[Array, Array], Array]]:
    """What answers depend on: (n, p) of each row (scores), (m,) of all (tie rates), log_prob (n,) of both."""
    leaves, tree = jax.tree.flatten(answers.choice)
    n = len(comparisons)
    of_rows = [x.shape[:1] == (n,) for x in leaves]
    mine = [x.reshape(n, -1) for x, own in zip(leaves, of_rows, strict=True) if own]
    common = [x.reshape(-1) for x, own in zip(leaves, of_rows, strict=True) if not own]

    def log_prob(rows: Array, shared: Array) -> Array:
        ends = [np.cumsum([x.shape[-1] for x in parts])[:-1] for parts in (mine, common)]
        pieces = iter(jnp.split(rows, ends[0], axis=1)), iter(jnp.split(shared, ends[1]))
        again = [
            next(pieces[0 if own else 1]).reshape(x.shape) for x, own in zip(leaves, of_rows, strict=True)
        ]
        choice = jax.tree.unflatten(tree, again)
        return Counted(choice, answers.count, answers.weight, answers.available).log_prob(comparisons.outcome)

    return jnp.concatenate(mine, 1), jnp.concatenate(common) if common else jnp.zeros(0), log_prob


@functools.lru_cache(maxsize=64)
def declared(model: Model, unravel_theta: Callable, unravel_z: Callable) -> Declared:
    """One object for each model and shape, so that compilations are found again."""
    return Declared(model, unravel_theta, unravel_z)
