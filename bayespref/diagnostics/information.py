"""Which parameters a design could inform at all, however often it were answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer.util import constrain_fn

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.program import Model, Site, run, sites_of
from bayespref.populations import LatentClasses

HYPER = ("_scale", "_sd", "_correlation", "_strength")
"""Endings of sites that describe a prior, and reach the answers through others."""
TOLERANCE = 3e-5
"""Singular values below this, relative to the largest, are zero: derivatives are in double precision."""


@dataclasses.dataclass(frozen=True)
class Informed:
    """How many parameters a model has, and how many of them answers to a design could inform.

    Attributes:
        parameters: directions in which the quantities asked about can move.
        informed: those along which the probabilities of answers move too.
        condition: ratio of the best to the worst informed direction's standard error, infinite where some are
            not informed; thousands mean that impossibly many answers are needed.
    """

    parameters: int
    informed: int
    condition: float

    def __str__(self) -> str:
        """One sentence."""
        if self.informed < self.parameters:
            return (
                f"NOT IDENTIFIED: of {self.parameters} parameters, answers to this design inform "
                f"{self.informed}, however many there are; the rest is what the prior says."
            )
        return (
            f"All {self.parameters} parameters are informed; the worst direction needs about "
            f"{self.condition**2:,.0f} times the answers of the best."
        )

    __repr__ = __str__


def informed(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    of: Sequence[str] | None = None,
    patterns: int = 400,
) -> Informed:
    """Local identifiability: the rank of the Fisher information of a declared model on a design.

    At a point drawn from the prior, derivatives of the log-probabilities of every possible answer (of whole
    annotators' answers, simulated, for latent classes) span the directions that answers inform. K classes
    with worths for n items have K n - 1 parameters: answers that are pooled have as many probabilities as
    there are distinct pairs, so with K = 2 five items are the least (Zhang et al., 2022); annotators who
    answer several pairs each need three.

    Args:
        key: a `jax.random.key`.
        model: the declaration; fix scales (`scale=1.5`) to leave out what describes priors.
        comparisons: the design; outcomes, if any, are ignored.
        of: names of the quantities asked about; None takes all documented ones that are not scales of priors
            or annotators' own.
        patterns: annotators simulated, for latent classes.

    Returns:
        An `Informed`, which prints as a sentence.

    Raises:
        ValueError: for names that are no quantities of the model.

    Example:
        >>> informed(jax.random.key(0), latent_class_bradley_terry, answers)  # doctest: +SKIP
    """
    with jax.enable_x64(True):  # noqa: FBT003 (its only argument)
        seeded = handlers.seed(model, jax.random.key(0))  # answers are drawn, and ignored
        data = _double(comparisons.replace(outcome=None, has_ties=False, has_none=False))
        sites = sites_of(model, data)
        names = _asked(sites, of)
        point, unravel = _prior_point(key, model, data, sites)

        def quantities(z: Array) -> Array:
            values = constrain_fn(seeded, (data,), {}, unravel(z), return_deterministic=True)
            return jnp.concatenate([jnp.ravel(values[name]) for name in names])

        moves = np.asarray(jax.jit(jax.jacfwd(quantities))(point))
        scores = _scores(key, seeded, data, unravel, point, patterns)
    basis = _row_space(np.concatenate([_unit(moves), _unit(scores)]))
    along = np.linalg.svd(_unit(scores) @ basis, compute_uv=False) if basis.shape[1] else np.zeros(0)
    seen = int((along > TOLERANCE * max(along.max(initial=0.0), 1e-300)).sum())
    worst = along.max() / along.min() if seen == basis.shape[1] and seen else np.inf
    return Informed(basis.shape[1], seen, float(worst))


def _double(data: Comparisons) -> Comparisons:
    """The same in double precision."""

    def widen(x):
        return jnp.asarray(np.asarray(x), jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(widen, data).replace(source_rows=None)


def _asked(sites: dict[str, Site], of: Sequence[str] | None) -> list[str]:
    documented = [name for name, site in sites.items() if site.documented]
    if of is None:
        return [
            name for name in documented if not name.endswith(HYPER) and sites[name].annotator_axis is None
        ]
    if unknown := [name for name in of if name not in documented]:
        raise refuse(f"quantities are documented sites, {documented}", f"{unknown}")
    return list(of)


def _prior_point(key: Array, model: Model, data: Comparisons, sites: dict[str, Site]):
    """A prior draw as an unconstrained vector, and the map back; annotators' effects stay where they are."""
    trace = run(model, data, {}, key)
    latent = {name: trace[name] for name, site in sites.items() if site.latent}
    values = {name: biject_to(site["fn"].support).inv(site["value"]) for name, site in latent.items()}
    moving = {name: value for name, value in values.items() if sites[name].annotator_axis is None}
    fixed = {name: value for name, value in values.items() if name not in moving}
    point, unravel = ravel_pytree({k: jnp.asarray(v, jnp.float64) for k, v in moving.items()})
    return point, lambda z: unravel(z) | fixed


def _scores(key: Array, model: Model, data: Comparisons, unravel, point: Array, patterns: int) -> np.ndarray:
    """(rows, d) derivatives of log-probabilities of answers."""

    def answers(z: Array):
        return run(model, data, constrain_fn(model, (data,), {}, unravel(z)))["outcome"]["fn"]

    if not isinstance(answers(point), LatentClasses):
        probable = np.isfinite(np.asarray(answers(point).outcome_log_probs()))
        jacobian = np.asarray(jax.jit(jax.jacfwd(lambda z: answers(z).outcome_log_probs()))(point))
        return jacobian[probable]

    def of_annotators(z: Array, value: Array) -> Array:
        classes = answers(z)
        return classes.annotator_log_prob(value, classes.annotator, classes.annotators)

    slope = jax.jit(jax.jacfwd(of_annotators))
    times = max(-(-patterns // answers(point).annotators), 1)
    drawn = answers(point).sample(key, (times,))
    return np.concatenate([np.asarray(slope(point, one)) for one in drawn])


def _unit(matrix: np.ndarray) -> np.ndarray:
    return matrix / max(np.abs(matrix).max(initial=0.0), 1e-300)


def _row_space(matrix: np.ndarray) -> np.ndarray:
    """(d, r) orthonormal basis of the rows."""
    _, size, right = np.linalg.svd(matrix, full_matrices=False)
    return right[size > TOLERANCE * size.max(initial=0.0)].T
