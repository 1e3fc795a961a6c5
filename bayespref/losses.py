"""Losses that are not likelihoods, as named generalised-Bayes updates: prior x exp(-sum loss / temperature).

IPO and SLiC-HF rank answers by a loss that is the negative log of no probability: summed over both outcomes,
exp(-loss) is not constant, so there is no annotator behaviour under which minimising it is learning that
annotator's density. They can be fitted (Bissiri, Holmes and Walker, 2016) and compared with their limit
(`limits.ipo`); whatever needs a probability of answers refuses them.
"""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
import xarray as xr
from jax import Array
from jax.typing import ArrayLike

from bayespref.choices import Choice
from bayespref.comparisons import refuse

NAMES = ("ipo", "slichf")
REASON = (
    "{name} is not the negative log of a probability: over both outcomes, exp(-loss) does not sum to one, so "
    "there is no annotator behaviour it is the likelihood of"
)


class Loss(Choice):
    """A loss of answers to pairs; `answer_log_prob` is -loss / temperature, no log-probability."""

    pytree_data_fields = ("score", "temperature")

    def __init__(self, score: Array, temperature: ArrayLike, *, validate_args: bool | None = None):
        self.score, self.temperature = jnp.asarray(score), jnp.asarray(temperature)
        if self.score.ndim < 1 or self.score.shape[-1] != 2:
            raise refuse("a loss compares two things at a time", f"scores of shape {self.score.shape}")
        super().__init__(self.score.shape[:-1], (), validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return 2

    def losses(self, margin: Array) -> Array:
        """Loss as a function of the margin of what was chosen, score chosen - score rejected."""
        raise NotImplementedError

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        difference = self.score[..., 0] - self.score[..., 1]
        return -self.losses(jnp.where(value == 0, difference, -difference)) / self.temperature

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        raise refuse_name(type(self).__name__.lower(), "probabilities of answers")

    @override
    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        raise refuse_name(type(self).__name__.lower(), "simulated answers")


class IPO(Loss):
    """(margin - 1 / (2 tau))^2; see `ipo`."""

    pytree_data_fields = ("tau",)

    def __init__(self, score: Array, tau: ArrayLike, temperature: ArrayLike, *, validate_args=None):
        self.tau = jnp.asarray(tau)
        super().__init__(score, temperature, validate_args=validate_args)

    @override
    def losses(self, margin: Array) -> Array:
        return jnp.square(margin - 0.5 / self.tau)


class SLiCHF(Loss):
    """Hinge max(0, delta - margin), softened, less an anchor; see `slic_hf`."""

    pytree_data_fields = ("delta", "anchor", "smoothing")
    arg_constraints: ClassVar[dict] = {}

    def __init__(self, score, delta, anchor, smoothing, temperature, *, validate_args=None):
        self.delta, self.smoothing = jnp.asarray(delta), jnp.asarray(smoothing)
        self.anchor = jnp.asarray(anchor)
        super().__init__(score, temperature, validate_args=validate_args)

    @override
    def losses(self, margin: Array) -> Array:
        soft = self.smoothing * jax.nn.softplus((self.delta - margin) / self.smoothing)
        return soft - self.anchor


def ipo(score: Array, *, tau: float, temperature: float | None = None) -> IPO:
    """Identity preference optimisation: loss = (h - 1 / (2 tau))^2, h = score chosen - score rejected.

    The default temperature, 1 / (2 tau^2), makes the loss's curvature, 2, the greatest variance its slope can
    have, (1 / tau^2) Var(sign) <= 1 / tau^2, once both are divided by it (Lyddon, Holmes and Walker, 2019):
    intervals are right where answers are even, and cautious where they are not. Source: Azar et al. (2023).

    Args:
        score: (n, 2) log pi(x) - log reference(x) of what was shown (`behaviours.dpo(1.0, log_reference)`).
        tau: positive regularisation.
        temperature: positive; None takes the default.

    Returns:
        A loss, for `observe`.

    Raises:
        ValueError: for tau or a temperature that is not positive, or more than two things at a time.

    Example:
        >>> loss = ipo(jnp.array([0.0, 0.0]), tau=0.5, temperature=1.0)
        >>> float(loss.log_prob(jnp.array(0)))
        -1.0
    """
    if not (tau > 0 and (temperature is None or temperature > 0)):
        raise refuse("tau and temperature are positive", f"tau {tau}, temperature {temperature}")
    return IPO(score, tau, 1 / (2 * tau**2) if temperature is None else temperature)


def slic_hf(
    score: Array,
    *,
    delta: float,
    anchor: ArrayLike = 0.0,
    temperature: float = 1.0,
    smoothing: float = 0.1,
) -> SLiCHF:
    """Sequence likelihood calibration: loss = max(0, delta - h) - anchor, h = score chosen - score rejected.

    The hinge is softened, smoothing * softplus((delta - h) / smoothing), so that it has a curvature; the
    anchor, lambda E_reference[log pi], counts once for each answer. Only the majority's sign of each pair
    enters the hinge's optimum. Source: Zhao et al. (2023), the direct variant.

    Args:
        score: (n, 2) log pi(x) of what was shown.
        delta: margin, at least zero.
        anchor: lambda times the mean of log pi under the reference, a scalar.
        temperature: positive.
        smoothing: positive width, in nats, over which the hinge bends.

    Returns:
        A loss, for `observe`.

    Raises:
        ValueError: for a negative margin, or a temperature or smoothing that is not positive.

    Example:
        >>> loss = slic_hf(jnp.array([0.0, 0.0]), delta=1.0, smoothing=1e-3)
        >>> round(float(loss.log_prob(jnp.array(0))), 3)
        -1.0
    """
    if not (delta >= 0 and temperature > 0 and smoothing > 0):
        raise refuse(
            "delta is at least 0, temperature and smoothing are positive",
            f"delta {delta}, temperature {temperature}, smoothing {smoothing}",
        )
    return SLiCHF(score, delta, anchor, smoothing, temperature)


def is_loss(fit: xr.DataTree) -> bool:
    """Whether a fit is a generalised-Bayes update by a loss rather than a posterior.

    Args:
        fit: what an inference function returned.

    Example:
        >>> is_loss(fit)  # doctest: +SKIP
        False
    """
    return fit.attrs.get("choice") in NAMES


def refuse_loss(fit: xr.DataTree, what: str) -> None:
    """Raise a ValueError with the reason when a fit by a loss is asked for what only a likelihood gives.

    Args:
        fit: what an inference function returned.
        what: was asked for.

    Raises:
        ValueError: for a fit by a loss.

    Example:
        >>> refuse_loss(fit, "leave-one-out")  # doctest: +SKIP
    """
    if is_loss(fit):
        raise refuse_name(fit.attrs["choice"], what)


def refuse_name(name: str, what: str) -> ValueError:
    """The refusal of `what` for the loss called `name`.

    Args:
        name: of the loss.
        what: was asked for.

    Example:
        >>> "no annotator behaviour" in str(refuse_name("ipo", "simulated answers"))
        True
    """
    return refuse(
        f"{what} need a likelihood, and {REASON.format(name=name)}",
        f"the loss {name}",
        remedy="Fit a behaviour (behaviours.dpo, say) through choices.logit; "
        "a loss's posterior is compared with its own limit, such as limits.ipo.",
    )
