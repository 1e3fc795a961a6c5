"""The likelihood of a whole annotator, effects integrated out: log p(answers of a | everything shared).

Annotator effects are exactly the latent sites in plate `annotator`. Given everything else, annotators are
independent, so one trace of the model scores all of them at once.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro import handlers
from numpyro.distributions import biject_to

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import latent_of
from bayespref.inference.program import Model, Site, Values, sites_of

STUDENT_DF = 5.0
"""Degrees of freedom of the Student proposal: heavier tails than any annotator's posterior."""


class Effects(NamedTuple):
    """Latent sites by annotator, and the normal approximation of each annotator's effects.

    `mean` (a, d) and `factor` (a, d, d), Cholesky, are moments of the posterior draws in unconstrained
    space; `sites` gives the order of sites along d.
    """

    sites: tuple[Site, ...]
    mean: np.ndarray
    factor: np.ndarray

    @property
    def size(self) -> int:
        """How many effects each annotator has."""
        return self.mean.shape[1]


def effects_of(model: Model, comparisons: Comparisons, fit: xr.DataTree) -> Effects:
    """Find the annotator effects of a fit and their moments, which adapt the proposals."""
    latent = latent_of(fit)
    all_sites = sites_of(model, comparisons)
    sites = tuple(all_sites[name] for name in latent if all_sites[name].annotator_axis is not None)
    size = len(comparisons.annotators) if comparisons.annotators is not None else 0
    if not sites:
        return Effects((), np.zeros((size, 0)), np.zeros((size, 0, 0)))

    @jax.jit
    def unconstrain(comparisons: Comparisons, latent: Values) -> Array:
        return jax.lax.map(lambda values: _flatten(model, comparisons, sites, values), latent, batch_size=64)

    draws = np.asarray(unconstrain(comparisons, latent), np.float64)
    covariance = np.einsum("sad,sae->ade", draws - draws.mean(0), draws - draws.mean(0)) / len(draws)
    variance = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-30)  # each effect on its own scale
    covariance = covariance + 1e-6 * np.eye(draws.shape[-1]) * variance[:, None, :]
    return Effects(sites, draws.mean(0), np.linalg.cholesky(covariance))


def _flatten(model: Model, comparisons: Comparisons, sites, values: Values) -> Array:
    """(a, d) unconstrained effects of one draw."""
    seeded = handlers.seed(handlers.substitute(model, data=values), jax.random.key(0))
    trace = handlers.trace(seeded).get_trace(comparisons)
    columns = []
    for site in sites:
        raw = biject_to(trace[site.name]["fn"].support).inv(values[site.name])
        rows = jnp.moveaxis(raw, site.annotator_axis, 0)
        columns.append(rows.reshape(rows.shape[0], -1))
    return jnp.concatenate(columns, 1)


def annotator_terms(
    model: Model, comparisons: Comparisons, shared: Values, sites: tuple[Site, ...], effects: Array
) -> Array:
    """(a,) log p(effects_a | shared) + log p(answers of a | effects_a, shared), effects unconstrained.

    Args:
        model: the declaration.
        comparisons: the data, with annotators.
        shared: values of every latent that is not an annotator's.
        sites: the annotators' sites.
        effects: (a, d) their unconstrained values, site after site.
    """
    assert comparisons.annotators is not None
    size = len(comparisons.annotators)
    names, used, jacobian = {site.name: site for site in sites}, [0], jnp.zeros(size)

    def substitute(message: dict):
        nonlocal jacobian
        if message["name"] in shared:
            return shared[message["name"]]
        if message["type"] != "sample" or (site := names.get(message["name"])) is None:
            return None
        transform = biject_to(message["fn"].support)
        shape = list(transform.inverse_shape(site.shape))
        assert site.annotator_axis is not None
        shape.insert(0, shape.pop(site.annotator_axis))
        width = int(np.prod(shape[1:]))
        raw = effects[:, used[0] : used[0] + width].reshape(shape)
        used[0] += width
        raw = jnp.moveaxis(raw, 0, site.annotator_axis)
        value = transform(raw)
        jacobian = jacobian + _by_annotator(transform.log_abs_det_jacobian(raw, value), site)
        return value

    program = handlers.seed(handlers.substitute(model, substitute_fn=substitute), jax.random.key(0))
    trace = handlers.trace(program).get_trace(comparisons)
    prior = sum(
        (_by_annotator(trace[site.name]["fn"].log_prob(trace[site.name]["value"]), site) for site in sites),
        start=jnp.zeros(size),
    )
    who = comparisons.by_annotator()
    return prior + jacobian + trace["outcome"]["fn"].annotator_log_prob(comparisons.outcome, who, size)


def _by_annotator(values: Array, site: Site) -> Array:
    """Sum over every axis but the annotators'."""
    axes = tuple(axis for axis in range(values.ndim) if axis != site.annotator_axis)
    return values.sum(axes)


def standard_points(key: Array, dimension: int, points: int, proposal: str) -> tuple[np.ndarray, np.ndarray]:
    """Scrambled Sobol points of a standard normal or Student proposal, and their log-densities."""
    if proposal not in ("normal", "student"):
        raise refuse("a proposal is 'normal' or 'student'", repr(proposal))
    if points < 2 or points & (points - 1):
        raise refuse("integration points number a power of two", str(points))
    from scipy.stats import chi2, multivariate_t, norm, qmc

    seed = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    student = proposal == "student"
    uniform = qmc.Sobol(dimension + student, rng=seed).random(points)
    uniform = np.clip(uniform, 1e-9, 1 - 1e-9)
    normal = norm.ppf(uniform[:, :dimension])
    log_density = norm.logpdf(normal).sum(1)
    if not student:
        return normal, log_density
    spread = chi2.ppf(uniform[:, -1], STUDENT_DF) / STUDENT_DF
    normal = normal / np.sqrt(spread)[:, None]
    centre, unit = np.zeros(dimension), np.eye(dimension)
    density = multivariate_t(centre, unit, df=STUDENT_DF)  # pyright: ignore[reportArgumentType]
    return normal, np.atleast_1d(density.logpdf(normal))


def integrated_log_likelihood(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    shared: Values,
    effects: Effects,
    *,
    points: int,
    proposal: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Log p(answers of a | shared) at every draw of what is shared.

    Importance sampling with quasi-random points from a proposal adapted to each annotator: the moments of
    the annotator's effects under the posterior. Plain draws from the prior are biased low by many nats.

    Args:
        key: randomises the Sobol points.
        model: the declaration.
        comparisons: the data, with annotators.
        shared: (s, ...) draws of all latents; annotators' own are ignored.
        effects: from `effects_of`.
        points: integration points, a power of two.
        proposal: "student" or "normal".

    Returns:
        (s, a) integrated log-likelihoods in nats, and their (s, a) standard errors by importance sampling
        theory, which quasi-random points undercut.
    """
    own = {site.name for site in effects.sites}
    shared = {name: value for name, value in shared.items() if name not in own}
    assert comparisons.annotators is not None
    size = len(comparisons.annotators)
    if not effects.sites:

        @jax.jit
        def score(comparisons: Comparisons, shared: Values) -> Array:
            none = jnp.zeros((size, 0))
            terms = lambda values: annotator_terms(model, comparisons, values, (), none)  # noqa: E731
            return jax.lax.map(terms, shared, batch_size=64)

        values = np.asarray(score(comparisons, shared))
        return values, np.zeros_like(values)
    standard, log_standard = standard_points(key, effects.size, points, proposal)
    places = effects.mean[None] + np.einsum("ade,pe->pad", effects.factor, standard)
    log_volume = np.log(np.diagonal(effects.factor, axis1=1, axis2=2)).sum(1)
    log_q = log_standard[:, None] - log_volume

    @jax.jit
    def integrate(comparisons: Comparisons, shared: Values, places: Array, log_q: Array):
        def one(values: Values) -> tuple[Array, Array]:
            def term(place: Array) -> Array:
                return annotator_terms(model, comparisons, values, effects.sites, place)

            ratio = jax.lax.map(term, places, batch_size=16) - log_q
            total = jax.nn.logsumexp(ratio, 0)
            relative = jnp.exp(ratio - total) * points
            return total - jnp.log(points), jnp.std(relative, 0) / jnp.sqrt(points)

        return jax.lax.map(one, shared)

    float32 = jnp.asarray(places, jnp.float32), jnp.asarray(log_q, jnp.float32)
    values, errors = integrate(comparisons, shared, *float32)
    return np.asarray(values), np.asarray(errors)
