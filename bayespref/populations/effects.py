"""Effects that differ by annotator, around what their covariates say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

from bayespref.comparisons import Comparisons, refuse
from bayespref.parametrisation import centring

FEW = 8
"""Columns up to which products and solves are written out: libraries take longer to call than to compute."""


def by_annotator(
    name: str,
    comparisons: Comparisons,
    *,
    spread: ArrayLike = 1.0,
    over: str | None = None,
    labels: Sequence[str] = (),
    correlated: bool = True,
    concentration: float = 2.0,
    covariates: Sequence[str] = (),
    around: ArrayLike | None = None,
) -> Array:
    """Effects that differ by annotator: effect_a ~ Normal(slope . z_a, sd^2), sd ~ HalfNormal(spread).

    With `over`, each annotator has a vector of effects ~ MultivariateNormal(slope z_a, diag(sd) R diag(sd))
    with R ~ LKJ(concentration). z_a are columns of the annotator table, less their mean; a column's slope,
    for a standard deviation of it, is ~ Normal(0, spread). Sites: `{name}_sd`, `{name}` (annotator[, over]),
    `{name}_slope` (covariate[, over]), for one unit of the user's column, and, for correlated
    vectors, `{name}_correlation`. Also known as random effects, or random coefficients.

    Args:
        name: name of the effect.
        comparisons: the data; they say how many annotators there are and how much each answered.
        spread: prior scale of sd, in the effect's unit; (d,) for vectors.
        over: name of the vector's dimension.
        labels: the d names along that dimension.
        correlated: whether elements of a vector hang together; else R is the identity.
        concentration: LKJ concentration; 1 is uniform over correlations, more is closer to none.
        covariates: names of annotators' columns that the effects depend on.
        around: what a vector of effects will be added to, () or (d,), such as a mean taste. It changes how
            vectors are written for the sampler, not what they are: answers say more of the sum than of each.

    Returns:
        (a,) effects, or (a, d) with `over`; index them with `comparisons.annotator`.

    Raises:
        ValueError: for answers without annotators, columns that their table lacks, `around` without `over`.

    Example:
        >>> def model(comparisons):
        ...     rationality = jnp.exp(by_annotator("log_rationality", comparisons, spread=0.5))
    """
    comparisons.by_annotator()
    answers, annotators = comparisons.design.annotator_answers, comparisons.annotators
    assert answers is not None and annotators is not None
    if over is not None:
        eta = concentration if correlated else None
        return _vector(name, comparisons, spread, over, tuple(labels), eta, tuple(covariates), around)
    if around is not None:
        raise refuse("around is of vectors of effects", "around without over", remedy="Leave it out.")
    mean = _expected(name, comparisons, tuple(covariates), spread)
    share = centring(answers, spread)
    sd = jnp.asarray(numpyro.sample(f"{name}_sd", dist.HalfNormal(spread)))
    with numpyro.plate("annotator", len(annotators)):
        raw = numpyro.sample(f"_{name}", dist.Normal(0.0, sd**share))
        return jnp.asarray(numpyro.deterministic(name, mean + raw * sd ** (1 - share)))


def _expected(name, comparisons: Comparisons, columns: tuple[str, ...], spread, over=None) -> ArrayLike:
    """What columns of the annotators say about their effects: (a,), (a, d) with `over`, or 0."""
    if not columns:
        return 0.0
    z, unit, _ = covariates(comparisons, columns)
    named = {"coords": {f"{name}_covariate": columns}}
    with ExitStack() as plates:
        if over is not None:
            plates.enter_context(numpyro.plate(over, len(spread), dim=-1))
            unit = unit[:, None]
        along = numpyro.plate(f"{name}_covariate", len(columns), dim=-1 if over is None else -2)
        plates.enter_context(along)
        raw = jnp.asarray(numpyro.sample(f"_{name}_slope", dist.Normal(0.0, spread), infer=named))
        numpyro.deterministic(f"{name}_slope", raw / unit)
    return z @ raw


def covariates(
    comparisons: Comparisons, names: Sequence[str] | None = None
) -> tuple[Array, Array, tuple[str, ...]]:
    """Columns of the annotators as regressors: z_a = (column - mean) / standard deviation.

    Mean and standard deviation are those of the annotators that a model is fitted to, in new data too.

    Args:
        comparisons: the data, annotators with numeric columns.
        names: of the columns; None takes all.

    Returns:
        z (a, c), the standard deviations (c,), the names.

    Raises:
        ValueError: for columns that the annotators' table lacks, or none at all.

    Example:
        >>> from bayespref import Annotators
        >>> people = Annotators({"age": jnp.array([20.0, 40.0])}, 2)
        >>> data = Comparisons.from_arrays([[0, 1]], annotator=[0], annotators=people)
        >>> covariates(data)[0].tolist()
        [[-1.0], [1.0]]
    """
    comparisons.by_annotator()
    design, annotators = comparisons.design, comparisons.annotators
    mean, scale = design.column_mean or {}, design.column_scale or {}
    listed = sorted(mean) if names is None else [names] if isinstance(names, str) else list(names)
    if not listed or any(name not in mean for name in listed):
        raise refuse(
            f"covariates are numeric columns of the annotators, {sorted(mean)}",
            f"{listed}",
            remedy="Read them with annotators=..., annotator_columns=(...).",
        )
    assert annotators is not None
    unit = jnp.stack([scale[name] for name in listed])
    columns = jnp.stack([(annotators.columns[name] - mean[name]) for name in listed], -1)
    return columns / unit, unit, tuple(listed)


def _vector(name, comparisons: Comparisons, spread, over, labels, concentration, covariates, around) -> Array:
    answers, annotators = comparisons.design.annotator_answers, comparisons.annotators
    assert answers is not None and annotators is not None
    size = len(annotators)
    spread = jnp.broadcast_to(spread, (len(labels),)) if labels else jnp.asarray(spread)
    if spread.ndim != 1:
        raise refuse("a vector of effects has labels, or one spread for each element", f"spread {spread}")
    d = len(spread)
    along = numpyro.plate(over, d, dim=-1)
    with along:
        named = {"coords": {over: labels}} if labels else {}
        sd = jnp.asarray(numpyro.sample(f"{name}_sd", dist.HalfNormal(spread), infer=named))
    mean = _expected(name, comparisons, covariates, spread, over)
    factor = sd[:, None] * _correlation_factor(name, over, d, concentration)
    # Partly centred with one share for all: a mean over answers, so that those who gave none change nothing.
    share = (answers * centring(answers, 1.0)).sum() / jnp.maximum(answers.sum(), 1.0)
    standard = factor / spread[:, None]
    tril = (1 - share) * jnp.eye(d) + share * standard
    middle = share * (mean + (0.0 if around is None else around)) / spread
    with numpyro.plate("annotator", size):
        raw = jnp.asarray(numpyro.sample(f"_{name}", _Normal(middle, scale_tril=tril)))
    noise = _solved(tril, (raw - middle).T)
    with numpyro.plate("annotator", size, dim=-2), along:
        effect = _product(factor, noise)
        return jnp.asarray(numpyro.deterministic(name, mean + effect.T))


class _Normal(dist.MultivariateNormal):
    """Solved by column, where they are FEW."""

    def log_prob(self, value: Array) -> Array:
        if self.event_shape[0] > FEW:
            return super().log_prob(value)
        tril = jnp.moveaxis(jnp.asarray(self.scale_tril), (-2, -1), (0, 1))  # one for each mean
        noise = _solved(tril, jnp.moveaxis(value - self.loc, -1, 0))
        height = 0.5 * len(tril) * jnp.log(2 * jnp.pi) + jnp.log(jnp.diagonal(tril)).sum(-1)
        return -0.5 * jnp.asarray(sum(jnp.square(each) for each in noise)) - height


def _solved(tril: Array, rest: Array) -> list[Array] | Array:
    """The d rows of tril^-1 rest, (d, d[, ...]) and (d, ...), by forward substitution."""
    if len(tril) > FEW:
        return solve_triangular(tril, rest, lower=True)
    rows: list[Array] = []
    for k in range(len(tril)):
        before = sum(tril[k, j] * row for j, row in enumerate(rows))
        rows.append((rest[k] - before) / tril[k, k])
    return rows


def _product(factor: Array, rows: list[Array] | Array) -> Array:
    """(d, a) factor times rows."""
    if len(rows) > FEW:
        return factor @ jnp.asarray(rows)
    return jnp.asarray(sum(column[:, None] * row for column, row in zip(factor.T, rows, strict=True)))


def _correlation_factor(name: str, over: str, d: int, concentration: float | None) -> Array:
    """(d, d) Cholesky factor of the correlations, registered as `{name}_correlation`; None for none."""
    if d == 1 or concentration is None:
        return jnp.eye(d)
    factor = jnp.asarray(numpyro.sample(f"_{name}_correlation", dist.LKJCholesky(d, concentration)))
    with numpyro.plate(over, d, dim=-2), numpyro.plate(f"{over}_other", d, dim=-1):
        numpyro.deterministic(f"{name}_correlation", factor @ factor.T)
    return factor
