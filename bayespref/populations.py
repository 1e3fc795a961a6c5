"""How annotators differ: effects by annotator id, or a mixture that needs no ids."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from bayespref.choices import Choice, Mixture
from bayespref.comparisons import Comparisons, refuse
from bayespref.parametrisation import centring


def by_annotator(
    name: str,
    comparisons: Comparisons,
    *,
    spread: ArrayLike = 1.0,
    over: str | None = None,
    labels: Sequence[str] = (),
    concentration: float = 2.0,
) -> Array:
    """Effects that differ by annotator: effect_a ~ Normal(0, sd^2), sd ~ HalfNormal(spread).

    With `over`, each annotator has a vector of effects ~ MultivariateNormal(0, diag(sd) R diag(sd)) with
    R ~ LKJ(concentration). Sites: `{name}_sd`, `{name}` (annotator[, over]) and, for vectors,
    `{name}_correlation`. Also known as random effects, or random coefficients.

    Args:
        name: name of the effect.
        comparisons: the data; they say how many annotators there are and how much each answered.
        spread: prior scale of sd, in the effect's unit; (d,) for vectors.
        over: name of the vector's dimension.
        labels: the d names along that dimension.
        concentration: LKJ concentration; 1 is uniform over correlations, more is closer to none.

    Returns:
        (a,) effects, or (a, d) with `over`; index them with `comparisons.annotator`.

    Raises:
        ValueError: for answers without annotators.

    Example:
        >>> def model(comparisons):
        ...     rationality = jnp.exp(by_annotator("log_rationality", comparisons, spread=0.5))
    """
    comparisons.by_annotator()
    answers, annotators = comparisons.design.annotator_answers, comparisons.annotators
    assert answers is not None and annotators is not None
    size = len(annotators)
    if over is not None:
        return _vector(name, size, spread, over, tuple(labels), concentration)
    share = centring(answers, spread)
    sd = jnp.asarray(numpyro.sample(f"{name}_sd", dist.HalfNormal(spread)))
    with numpyro.plate("annotator", size):
        raw = numpyro.sample(f"_{name}", dist.Normal(0.0, sd**share))
        return jnp.asarray(numpyro.deterministic(name, raw * sd ** (1 - share)))


def _vector(name, size, spread, over, labels, concentration) -> Array:
    spread = jnp.broadcast_to(spread, (len(labels),)) if labels else jnp.asarray(spread)
    if spread.ndim != 1:
        raise refuse("a vector of effects has labels, or one spread for each element", f"spread {spread}")
    d = len(spread)
    along = numpyro.plate(over, d, dim=-1)
    with along:
        named = {"coords": {over: labels}} if labels else {}
        sd = jnp.asarray(numpyro.sample(f"{name}_sd", dist.HalfNormal(spread), infer=named))
    factor = sd[:, None] * _correlation_factor(name, over, d, concentration)
    # An annotator's few answers seldom pin down a whole vector: non-centred mixes best (measured on panels).
    with numpyro.plate("annotator", size):
        raw = jnp.asarray(numpyro.sample(f"_{name}", dist.Normal(0.0, 1.0).expand((d,)).to_event(1)))
    with numpyro.plate("annotator", size, dim=-2), along:
        return jnp.asarray(numpyro.deterministic(name, raw @ factor.T))


def _correlation_factor(name: str, over: str, d: int, concentration: float) -> Array:
    """(d, d) Cholesky factor of the correlations, registered as `{name}_correlation`."""
    if d == 1:
        return jnp.ones((1, 1))
    factor = jnp.asarray(numpyro.sample(f"_{name}_correlation", dist.LKJCholesky(d, concentration)))
    with numpyro.plate(over, d, dim=-2), numpyro.plate(f"{over}_other", d, dim=-1):
        numpyro.deterministic(f"{name}_correlation", factor @ factor.T)
    return factor


def mixture(components: Sequence[Choice], log_weight: Array) -> Mixture:
    """Each answer comes from annotator h with probability w_h: P(y) = sum_h w_h P_h(y).

    Needs no annotator ids, and so cannot use them: answers are independent given the parameters. Source:
    arXiv 2311.14115 (the two-annotator experiments). Its likelihood does not change when components swap
    places: report them in an order of their own (of their means, say).

    Args:
        components: one choice distribution for each kind of annotator, of one batch shape and with the same
            outcomes.
        log_weight: (h,) or (..., h) log shares of the answers, summing to one.

    Returns:
        A distribution over answers, for `observe`.

    Raises:
        ValueError: for fewer than two components, or components that do not match.

    Example:
        >>> from bayespref import choices
        >>> opposed = [choices.logit(jnp.array([9.0, 0.0])), choices.logit(jnp.array([0.0, 9.0]))]
        >>> [round(float(p), 2) for p in mixture(opposed, jnp.log(jnp.array([0.4, 0.6]))).probs]
        [0.4, 0.6]
    """
    if len(components) < 2 or not all(isinstance(choice, Choice) for choice in components):
        raise refuse("a mixture has at least two distributions from bayespref.choices", f"{components!r}")
    kinds = {(choice.batch_shape, choice.k, choice.ties, choice.nones) for choice in components}
    if len(kinds) > 1:
        raise refuse("the components of a mixture have one shape and the same outcomes", f"{kinds}")
    if jnp.shape(log_weight)[-1:] != (len(components),):
        raise refuse(f"a mixture has {len(components)} weights", f"shape {jnp.shape(log_weight)}")
    return Mixture(tuple(components), log_weight)
