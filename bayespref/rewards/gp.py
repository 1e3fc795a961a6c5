"""A Gaussian-process reward over points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike
from numpyro.contrib.hsgp.laplacian import eigenfunctions, sqrt_eigenvalues

from bayespref.comparisons import refuse
from bayespref.rewards.density import normalised
from bayespref.supports import Support

BASIS = {1: 64, 2: 20, 3: 8}
"""Basis functions along each axis, by dimension."""

SMOOTHNESS = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}


def gp(
    support: Support,
    *,
    name: str = "log_density",
    kernel: str = "matern52",
    length: dist.Distribution | float | None = None,
    amplitude: dist.Distribution | float | None = None,
    basis: int | Sequence[int] | None = None,
    margin: float = 1.2,
) -> Callable[[Array], Array]:
    """A Gaussian process: r ~ GP(0, amplitude^2 k(|x - x'| / length)), log p(x) = r(x) - log integral exp r.

    Hilbert-space approximation (Solin and Sarkka, 2020; Riutort-Mayol et al., 2023): r is a weighted sum of
    the Laplacian's eigenfunctions on the support widened by `margin`, so its cost grows with points times
    basis functions. With b functions along an axis of half-width S it resolves length-scales down to about
    1.75 margin S / b (squared exponential), 2.65 margin S / b (Matern 5/2) or 3.42 margin S / b (Matern
    3/2). Sites: `{name}` (on the support), `{name}_length` (in units of x) and `{name}_amplitude` (nats).

    Args:
        support: an interval or a box.
        name: of the log-density's site.
        kernel: "matern52", "matern32", "matern12" or "squared_exponential". Log-densities have bends where
            one mode takes over from another: on the paper's two-mode density Matern 5/2 had 20 to 40 nats
            more evidence than the squared exponential and three quarters of its error.
        length: prior of the length-scale, or a number; None is LogNormal with median width / 10 and sd 0.7
            in logs (95 % between 1/40 and 2/5 of the support's smallest width).
        amplitude: prior of the standard deviation of r in nats, or a number; None is LogNormal with median 5
            and sd 1 in logs. The log-odds of two distant points have sqrt(2) times this.
        basis: functions along each axis; None is 64 in one dimension, 20 x 20, or 8 x 8 x 8.
        margin: how far the basis reaches beyond the support, as a factor.

    Returns:
        A function from points (..., d), or (...,) on a line, to log-densities in nats; points outside raise.

    Raises:
        ValueError: for a support without bounds, or an unknown kernel.

    Example:
        >>> def model(comparisons):
        ...     log_density = gp(supports.interval(-10, 10))
        ...     score = log_density(comparisons.items.features)[comparisons.shown]
    """
    if support.low is None or support.high is None:
        raise refuse(
            "a Gaussian process needs a bounded support",
            f"{support!r}",
            remedy="Declare supports.interval or supports.box, or take rewards.linear or rewards.neural.",
        )
    if kernel != "squared_exponential" and kernel not in SMOOTHNESS:
        raise refuse(f"a kernel is one of {['squared_exponential', *SMOOTHNESS]}", repr(kernel))
    d = len(support.low)
    centre, half = (support.low + support.high) / 2, (support.high - support.low) / 2
    reach = [float(margin * x) for x in half]
    sizes = [int(b) for b in np.broadcast_to(BASIS[d] if basis is None else basis, (d,))]
    scales = {
        "length": dist.LogNormal(math.log(float(half.min()) / 5), 0.7) if length is None else length,
        "amplitude": dist.LogNormal(math.log(5.0), 1.0) if amplitude is None else amplitude,
    }
    # Laplace integrates over the scales from outside: see inference/nested.py.
    length_scale, height = (
        numpyro.sample(f"{name}_{what}", prior, infer={"outer": True})
        if isinstance(prior, dist.Distribution)
        else jnp.asarray(prior)
        for what, prior in scales.items()
    )
    weights = numpyro.sample(
        f"_{name}",
        dist.Normal(0.0, 1.0).expand((math.prod(sizes),)).to_event(1),
        infer={"event_dims": (f"{name}_basis",), "support": support},
    )
    frequency = jnp.asarray(sqrt_eigenvalues(reach, sizes, d))
    coefficients = weights * jnp.exp(log_scale(kernel, frequency, length_scale, height))

    def reward(points: Array) -> Array:
        points = points if points.ndim and points.shape[-1] == d else points[..., None]
        shape = points.shape[:-1]
        return (_basis((points - centre).reshape(-1, d), reach, sizes) @ coefficients).reshape(shape)

    return normalised(name, support, reward)


def _basis(points: Array, reach: list[float], sizes: list[int]) -> Array:
    """(n, basis) eigenfunctions; axis by axis, so that a grid of b^d functions costs b d sines."""
    product = jnp.ones((len(points), 1), points.dtype)
    for axis, (half, size) in enumerate(zip(reach, sizes, strict=True)):
        along = eigenfunctions(points[:, axis], half, size)
        product = (product[:, :, None] * along[:, None, :]).reshape(len(points), -1)
    return product


def log_scale(kernel: str, frequency: Array, length: ArrayLike, amplitude: ArrayLike) -> Array:
    """(basis,) log prior standard deviation of the coefficients of the eigenfunctions.

    Args:
        kernel: its name.
        frequency: (d, basis) square roots of the eigenvalues.
        length: length-scale.
        amplitude: standard deviation of the process.
    """
    return jnp.log(amplitude) + 0.5 * _log_spectrum(kernel, frequency, length)


def _log_spectrum(kernel: str, frequency: Array, length: ArrayLike) -> Array:
    """(basis,) log spectral density of a unit kernel at frequencies (d, basis).

    In logs: far frequencies underflow in float32, and the gradient of sqrt(0) is not a number.
    """
    d = len(frequency)
    scaled = jnp.sum(jnp.square(length * frequency), 0)
    if kernel == "squared_exponential":
        return d * (jnp.log(length) + 0.5 * math.log(2 * math.pi)) - 0.5 * scaled
    nu = SMOOTHNESS[kernel]
    constant = d * math.log(2 * math.sqrt(math.pi)) + math.lgamma(nu + d / 2) - math.lgamma(nu)
    constant += nu * math.log(2 * nu)
    return constant + d * jnp.log(length) - (nu + d / 2) * jnp.log(2 * nu + scaled)
