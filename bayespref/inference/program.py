"""A declared model, read: which sites it has, what they are called, how likely it finds the answers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro import handlers
from numpyro.distributions import Distribution, biject_to
from numpyro.distributions.transforms import ExpTransform
from numpyro.infer.initialization import init_to_sample
from numpyro.infer.util import constrain_fn

from bayespref.comparisons import Comparisons, refuse
from bayespref.supports import Support

Model = Callable[..., Any]
Values = dict[str, Array]
CHUNK, TOGETHER = 128, 1 << 24
"""Draws that are looked at side by side; fewer where they and the rows would make more pairs than this."""


@dataclasses.dataclass(frozen=True)
class Site:
    """One site of a model.

    Attributes:
        shape: shape of one draw. dims: names along it, from plates and event_dims.
        unconstrained: shape of one draw in unconstrained space, of a latent site.
        latent: sampled (True) or computed (False).
        annotator_axis: axis of `dims` that runs over annotators, or None.
        coords: labels that the model itself gives, dimension -> labels.
        support: where a density that hangs on this site lives, or None.
        outer: whether Laplace integrates over it from outside (scales of a Gaussian process).
        turns: whether it may turn without changing any answer, so that chains need not agree on it.
        positive: whether it is sampled on a log scale, as standard deviations are.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    latent: bool
    annotator_axis: int | None
    coords: dict[str, tuple[str, ...]]
    support: Support | None = None
    unconstrained: tuple[int, ...] = ()
    outer: bool = False
    turns: bool = False
    positive: bool = False

    @property
    def documented(self) -> bool:
        """Names with a leading underscore are how a model is sampled, not what it says."""
        return not self.name.startswith("_")


def generator(key: Array) -> np.random.Generator:
    """NumPy's generator, seeded by a `jax.random.key`: for noise that needs no compilation."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def unwrap(model: Model) -> tuple[Model, dict[str, Any]]:
    """The function under `functools.partial`, and the options bound to it."""
    options: dict[str, Any] = {}
    while isinstance(model, functools.partial):
        if model.args:
            raise refuse("model options are bound by keyword", f"positional {model.args}")
        options = {**model.keywords, **options}
        model = model.func
    if not callable(model):
        raise refuse("a model is a function of comparisons", f"a {type(model).__name__}")
    return model, options


def identity(model: Model) -> dict[str, str]:
    """Name, options and digest of a model: what a stored fit remembers of it.

    The digest covers the function's source (its bytecode where no source exists, as in a console) and that
    of the functions and constants of its own module that it uses.
    """
    function, options = unwrap(model)
    return {
        "model": getattr(function, "__name__", type(function).__name__),
        "model_options": json.dumps(options, sort_keys=True, default=_plain),
        "model_digest": hashlib.sha256(_text(function, set()).encode()).hexdigest()[:16],
    }


def _text(function: Any, seen: set[str]) -> str:
    """What a function says, and what it uses from its own module."""
    code = getattr(function, "__code__", None)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = repr(type(function)) if code is None else code.co_code.hex() + repr(code.co_names)
    for name in () if code is None else code.co_names:
        used = function.__globals__.get(name)
        if name in seen or used is None:
            continue
        seen.add(name)
        if inspect.isfunction(used) and used.__module__ == function.__module__:
            text += _text(used, seen)
        elif isinstance(used, (bool, int, float, str, tuple)):
            text += f"{name}={used!r}"
    return text


def remembered[T](reads: Callable[[Model, Comparisons], T]) -> Callable[[Model, Comparisons], T]:
    """Read a declaration once for each table, for as long as both live: a trace costs some 20 ms."""
    known: WeakKeyDictionary[Comparisons, WeakKeyDictionary[Model, T]] = WeakKeyDictionary()

    @functools.wraps(reads)
    def read(model: Model, comparisons: Comparisons) -> T:
        try:
            mine = known.setdefault(comparisons, WeakKeyDictionary())
            found = mine.get(model)
        except TypeError:  # a model that is an object without hash or weak references
            return reads(model, comparisons)
        if found is None:
            found = mine[model] = reads(model, comparisons)
        return found

    return read


@remembered
def observed(model: Model, comparisons: Comparisons) -> Any:
    """The distribution of what the model observes: its kind and shapes, without numbers."""
    found: list[Any] = []
    jax.eval_shape(lambda: found.append(run(model, comparisons, {})["outcome"]["fn"]))
    return found[0]


def choice_of(model: Model, comparisons: Comparisons) -> str:
    """Name of the distribution that the model observes, under its lapses: "logit", "probit", ..."""
    choice = observed(model, comparisons).choice
    while hasattr(choice, "choice"):
        choice = choice.choice
    return type(choice).__name__.lower()


def response_of(model: Model, comparisons: Comparisons) -> tuple[str, int]:
    """The kind of answers that a model observes, and the number of levels of graded ones (else 0)."""
    choice = observed(model, comparisons).choice
    response = getattr(choice, "response", "choice")
    return response, choice.outcomes if response == "graded" else 0


def _plain(value: Any) -> Any:
    """What an option says, without the address it happens to have in memory."""
    if isinstance(value, (np.ndarray, jax.Array, np.generic)):
        return np.asarray(value).tolist()
    if isinstance(value, Distribution):
        return [type(value).__name__, {name: value.__dict__.get(name) for name in value.arg_constraints}]
    if inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


@remembered
def sites_of(model: Model, comparisons: Comparisons) -> dict[str, Site]:
    """Read a model's sites without computing anything.

    Raises:
        ValueError: when the model does not end in `observe`, or uses a name ArviZ cannot hold.
    """
    found: dict[str, Site] = {}
    observed = []

    def record() -> None:
        draw = handlers.substitute(handlers.seed(model, jax.random.key(0)), substitute_fn=init_to_sample)
        for name, site in handlers.trace(draw).get_trace(comparisons).items():
            if name == "outcome":
                observed.append(site.get("is_observed", False))
            elif site["type"] in ("sample", "deterministic"):
                found[name] = _site(name, site)

    with handlers.block():
        jax.eval_shape(record)
    if not observed:
        raise refuse(
            "a model states what was answered with bayespref.observe(comparisons, choice)",
            f"a model with sites {sorted(found)} and no site 'outcome'",
        )
    if bad := [name for name in found if "/" in name]:
        raise refuse("site names hold no '/'", f"{bad[0]!r}", remedy="Use '.' as the divider.")
    return found


def _site(name: str, site: dict) -> Site:
    frames = sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)
    shape = tuple(jnp.shape(site["value"]))
    batch = len(site["fn"].batch_shape) if site["type"] == "sample" else len(frames)
    infer = site.get("infer") or {}
    event_dims = tuple(infer.get("event_dims", ()))
    plated = {batch + frame.dim: frame.name for frame in frames}
    dims = tuple(plated.get(axis, f"{name}_dim_{axis}") for axis in range(batch)) + event_dims
    dims = dims + tuple(f"{name}_dim_{axis}" for axis in range(len(dims), len(shape)))
    axes = [axis for axis, plate in plated.items() if plate == "annotator"]
    coords = {dim: tuple(labels) for dim, labels in infer.get("coords", {}).items()}
    latent = site["type"] == "sample" and not site["is_observed"]
    axis = axes[0] if axes else None
    flags: dict[str, Any] = {name: bool(infer.get(name)) for name in ("outer", "turns")}
    if latent:
        bijection = biject_to(site["fn"].support)
        flags |= {"positive": isinstance(bijection, ExpTransform)}
        flags |= {"unconstrained": tuple(bijection.inverse_shape(shape))}
    return Site(name, shape, dims, latent, axis, coords, infer.get("support"), **flags)


def run(model: Model, comparisons: Comparisons, values: Values, key: Array | None = None) -> dict[str, dict]:
    """Trace a model with some sites set to `values`; the rest is drawn with `key`."""
    seeded = handlers.seed(model, jax.random.key(0) if key is None else key)
    return handlers.trace(handlers.substitute(seeded, data=values)).get_trace(comparisons)


def answer_log_likelihood(model: Model, comparisons: Comparisons, values: Values) -> Array:
    """(n,) log-probability of one answer of each row, unscaled, at given values of all latents."""
    site = run(model, comparisons, values)["outcome"]
    return site["fn"].answer_log_prob(comparisons.outcome)


def outcome_log_probs(model: Model, comparisons: Comparisons, values: Values) -> Array:
    """(n, outcomes) log-probability of every outcome at given values of all latents."""
    return run(model, comparisons, values)["outcome"]["fn"].outcome_log_probs()


def side_by_side(comparisons: Comparisons) -> int:
    """Draws whose answers' probabilities are computed at a time, to bound memory."""
    return max(1, min(CHUNK, TOGETHER // len(comparisons)))


def map_draws(function: Callable[[Any], Any], draws: Any, *, chunk: int = 64) -> Any:
    """Apply a function of one draw to all draws (s, ...), `chunk` at a time, compiled once.

    The last draw fills the last chunk, so that no second program is compiled for what is left over.
    """
    size = len(jax.tree.leaves(draws)[0])
    fill = -size % min(chunk, size)
    full = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[-1:], fill, 0)]) if fill else x, draws)
    return jax.tree.map(lambda x: x[:size], jax.lax.map(function, full, batch_size=min(chunk, size)))


@functools.partial(jax.jit, static_argnums=0)
def constrained(model: Model, comparisons: Comparisons, points: Values) -> Values:
    """Sites in the model's own space from unconstrained ones, (s, ...)."""

    def one(point: Values) -> Values:
        return constrain_fn(model, (comparisons,), {}, point)

    return map_draws(one, points, chunk=CHUNK)
