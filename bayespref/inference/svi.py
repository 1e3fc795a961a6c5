"""Stochastic variational inference."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import Array
from jax.sharding import Mesh
from numpyro.infer import SVI, Predictive, Trace_ELBO, autoguide, init_to_value
from numpyro.optim import optax_to_numpyro

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import build
from bayespref.inference.flat import Flat, ravel
from bayespref.inference.meshes import fetched, spread
from bayespref.inference.minibatch import minibatch
from bayespref.inference.nuts import check_data
from bayespref.inference.program import Model, Values, constrained, generator, side_by_side, sites_of
from bayespref.inference.relabel import classes_of
from bayespref.inference.starting import chain_starts, medians
from bayespref.inference.trust import warn
from bayespref.inference.weights import smooth

GUIDES = {
    "normal": autoguide.AutoNormal,
    "multivariate_normal": autoguide.AutoMultivariateNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
}
BLOCK, KHAT_DRAWS, KHAT_ROWS = 500, 4000, 400_000_000
"""Steps of a block; draws behind k-hat, fewer where they would look at more rows than this."""


def svi(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    guide: str | Callable = "multivariate_normal",
    steps: int = 4000,
    learning_rate: float = 0.03,
    particles: int = 4,
    batch_size: int | None = None,
    draws: int = 4000,
    mesh: Mesh | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Fit by stochastic variational inference: the guide q that maximises E_q[log p - log q].

    Adam, its rate decaying along a cosine to zero. With `batch_size`, each step sees that many answers,
    scaled to stand for all (`minibatch`).

    Args:
        key: a `jax.random.key`.
        model: a function of comparisons that ends in `observe`.
        comparisons: the data, with outcomes.
        guide: "normal" (mean-field), "multivariate_normal" (full rank), "low_rank", an `AutoGuide` class,
            or a NumPyro guide, a function of comparisons. A mean-field guide loses the correlations: on
            eight items compared only with their neighbours (800 answers) its standard deviations of worths
            were .45 to .78 of the posterior's, and k-hat was .8 to 1.0; on a full design they were right.
        steps: of Adam.
        learning_rate: of Adam, at the start.
        particles: draws of the guide per gradient.
        batch_size: answers in a minibatch; None uses all.
        draws: draws from the fitted guide.
        mesh: devices, of one host or of many, from `bayespref.mesh()`; None is one.
        progress: show a progress bar.

    Returns:
        A fit with one chain, independent draws of the guide; attributes `khat` (PSIS), `elbo` and
        `elbo_drift` (nats gained over the last quarter of the steps, 0 when within noise).

    Raises:
        ValueError: for an unknown guide, a diverged optimisation, or minibatches with latent classes.

    Warns:
        FitWarning: for k-hat > 0.7, or an ELBO still rising at the end.

    Example:
        >>> fit = svi(jax.random.key(0), bradley_terry, answers, guide="normal")  # doctest: +SKIP
    """
    check_data(model, comparisons)
    if batch_size is not None and not 0 < batch_size <= comparisons.answers:
        raise refuse(f"a minibatch has 1 to {comparisons.answers} answers", str(batch_size))
    if batch_size is not None and classes_of(model, comparisons)[0]:
        raise refuse(
            "minibatches are of answers that are independent given the parameters",
            "latent classes, which hang an annotator's answers together",
            remedy="Fit without batch_size.",
        )
    latents = {name for name, site in sites_of(model, comparisons).items() if site.latent}
    run_key, draw_key, khat_key = jax.random.split(key, 3)
    recipe = Recipe(model, _guide(guide), particles, learning_rate, steps, batch_size)
    program = _program(recipe, *_start(key, model, comparisons), _structure(comparisons))
    params, losses = _optimise(run_key, program, spread(comparisons, mesh), steps, progress=progress)
    if not np.isfinite(losses[-1]):
        raise refuse("the ELBO stays finite", "a diverged optimisation", remedy="Lower learning_rate.")
    drawn = fetched(program.draw(draw_key, params, comparisons, draws))
    khat = _khat(khat_key, program, params, comparisons)
    settings = {
        "guide": guide if isinstance(guide, str) else getattr(guide, "__name__", repr(guide)),
        "steps": steps,
        "learning_rate": learning_rate,
        "particles": particles,
        "batch_size": batch_size,
        "draws": draws,
    }
    return warn(
        build(
            model,
            comparisons,
            {name: value[None] for name, value in drawn.items() if name in latents},
            key=key,
            method="svi",
            settings=settings,
            attrs={
                "khat": khat,
                "elbo": -float(losses[-steps // 10 :].mean()),
                "elbo_drift": _drift(losses),
            },
        )
    )


class Recipe(NamedTuple):
    """What an optimisation is made of; two of the same share their compiled programs."""

    model: Model
    guide: Callable
    particles: int
    learning_rate: float
    steps: int
    batch_size: int | None


class Program(NamedTuple):
    """An optimiser, and compiled functions: a block of steps, draws of the guide, their log-weights."""

    optimiser: SVI
    block: Callable
    draw: Callable
    log_weights: Callable


def _guide(guide: str | Callable) -> Callable:
    if isinstance(guide, str):
        if guide not in GUIDES:
            raise refuse(f"a guide is one of {sorted(GUIDES)}, or a callable", repr(guide))
        return GUIDES[guide]
    if not callable(guide):
        raise refuse("a guide is a name, an AutoGuide class or a function", f"a {type(guide).__name__}")
    return guide


def _start(key: Array, model: Model, comparisons: Comparisons) -> tuple[Flat, bytes]:
    """Where a guide starts: at the mode of classes that holds most, else at the prior's medians."""
    found = chain_starts(generator(key), model, comparisons, 1)
    if found is None:
        found = {name: value[None] for name, value in fetched(medians(model, comparisons)).items()}
    inside = fetched(constrained(model, comparisons, found))
    vector, flat = ravel({name: inside[name][0] for name in found})
    return flat, vector.astype(np.float64).tobytes()


def _structure(comparisons: Comparisons) -> tuple:
    leaves, structure = jax.tree.flatten(comparisons)
    return structure, *((leaf.shape, leaf.dtype) for leaf in leaves)


@functools.lru_cache(maxsize=32)
def _program(recipe: Recipe, flat: Flat, start: bytes, structure: tuple) -> Program:
    """Compiled once for all data of one shape from which a guide starts alike."""
    model, guide, size = recipe.model, recipe.guide, recipe.batch_size
    if inspect.isclass(guide) and issubclass(guide, autoguide.AutoContinuous | autoguide.AutoNormal):
        values = {name: jnp.asarray(value) for name, value in flat(np.frombuffer(start)).items()}
        guide = guide(model, init_loc_fn=init_to_value(values=values))
    schedule = optax.cosine_decay_schedule(recipe.learning_rate, recipe.steps)
    adam = optax_to_numpyro(optax.adam(schedule))
    optimiser, elbo = SVI(model, guide, adam, Trace_ELBO(recipe.particles)), Trace_ELBO()

    @jax.jit
    def block(state, keys: Array, comparisons: Comparisons):
        upto = jnp.cumsum(comparisons.count)

        def step(state, key: Array):
            data = comparisons if size is None else minibatch(key, comparisons, size, upto=upto)
            return optimiser.update(state, data)

        return jax.lax.scan(step, state, keys)

    @jax.jit
    def log_weights(keys: Array, params, comparisons: Comparisons) -> Array:
        width = side_by_side(comparisons)
        return -jax.lax.map(lambda k: elbo.loss(k, params, model, guide, comparisons), keys, batch_size=width)

    @functools.partial(jax.jit, static_argnums=3)
    def draw(key: Array, params, comparisons: Comparisons, draws: int) -> Values:
        if isinstance(guide, autoguide.AutoGuide):
            values: Any = guide.sample_posterior(key, params, comparisons, sample_shape=(draws,))
        else:
            values = Predictive(guide, params=params, num_samples=draws)(key, comparisons)
        return {name: jnp.asarray(value) for name, value in values.items()}

    return Program(optimiser, block, draw, log_weights)


def _optimise(key: Array, program: Program, comparisons: Comparisons, steps: int, *, progress: bool):
    """Run the steps in blocks, each one compiled scan."""
    from tqdm.auto import tqdm

    init_key, key = jax.random.split(key)
    state, losses = program.optimiser.init(init_key, comparisons), []
    with tqdm(total=steps, disable=not progress or jax.process_index() > 0, desc="svi") as bar:
        for start in range(0, steps, BLOCK):
            keys = jax.random.split(jax.random.fold_in(key, start), min(BLOCK, steps - start))
            state, loss = program.block(state, keys, comparisons)
            losses.append(np.asarray(fetched(loss), np.float64))
            bar.update(len(keys))
    return fetched(program.optimiser.get_params(state)), np.concatenate(losses)


def _drift(losses: np.ndarray) -> float:
    """Nats by which the mean ELBO of the last quarter exceeds that of the quarter before; 0 within 3 SE."""
    size = max(len(losses) // 4, 2)
    last, before = losses[-size:], losses[-2 * size : -size]
    gain = before.mean() - last.mean()
    error = np.sqrt((last.var() + before.var()) / size)
    return float(gain) if gain > 3 * error else 0.0


def _khat(key: Array, program: Program, params, comparisons: Comparisons) -> float:
    """Pareto k-hat of the weights p / q, each term of the ELBO being one log-weight."""
    draws = max(200, min(KHAT_DRAWS, KHAT_ROWS // len(comparisons)))
    weights = program.log_weights(jax.random.split(key, draws), params, comparisons)
    return float(smooth(np.asarray(weights, np.float64)[:, None])[1][0])
