"""Chains of the no-U-turn sampler, moved forward a block of draws at a time.

A chain is where it stands and its key, so a run can be watched, tuned, stopped and taken up again between
blocks. One compiled program serves warm-up and draws, every chain, and all data of one shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import like
from bayespref.inference.flat import Flat
from bayespref.inference.hoisting import ahead_of_loop
from bayespref.inference.meshes import CHAIN
from bayespref.inference.program import Model
from bayespref.inference.starting import slope_of

LONGEST = 8
"""Directions longer than the axes that chains take account of."""


class Chain(NamedTuple):
    """Where a chain stands, unconstrained (d,), and its key."""

    position: Array
    key: Array


class Tuning(NamedTuple):
    """How chains move: steps of `step_size` in u, position = here + scale (u + along' along u).

    Attributes:
        scale: (d,) or (d, d). step_size: in u.
        along: (k, d) directions that no axis has, orthogonal, of length sqrt(f - 1) where the posterior is
            f times as long as along the others; none, (0, d), where scales are a matrix.
    """

    scale: ArrayLike
    step_size: float
    along: ArrayLike


class Block(NamedTuple):
    """Draws of one chain, (size, ...); only as many are filled as were asked for.

    Attributes:
        position: (size, d) unconstrained. slope: (size, d) of the potential, in u.
        n_steps, acceptance_rate, energy, diverging: (size,) as ArviZ names them.
    """

    position: Array
    slope: Array
    n_steps: Array
    acceptance_rate: Array
    energy: Array
    diverging: Array


def advance(
    model: Model,
    unravel: Callable,
    chain: Chain,
    tuning: Tuning,
    comparisons: Comparisons,
    draws: int,
    *,
    size: int,
    depth: int,
    mesh: Mesh | None = None,
) -> tuple[Chain, Block]:
    """The chain `draws` further on, at most `size`, and what it drew.

    Chains (chains, ...) go in one program, side by side; on a mesh, each device at its own pace.
    """
    together = jnp.ndim(chain.position) == 2
    slope = _slopes_of(model, unravel) if together else slope_of(model, unravel)
    info = ParamInfo(chain.position, *slope(chain.position, comparisons))
    program = _program_of(model, unravel, size, depth, together=together, mesh=mesh)
    return program(chain, info, tuning, draws, comparisons)


def lowered_advance(
    model: Model,
    unravel: Flat,
    key: Array,
    comparisons: Comparisons,
    *,
    scale: tuple[int, ...],
    size: int,
    depth: int,
) -> jax.stages.Lowered:
    """The longest program that `advance` runs, for one chain, with scales of a shape."""
    position = like((unravel.size,))
    info = ParamInfo(position, *slope_of(model, unravel).eval_shape(position, comparisons))
    program = _program_of(model, unravel, size, depth, together=False, mesh=None)
    tuning = Tuning(like(scale), 1.0, like(shape_along(scale)))
    return program.lower(Chain(position, key), info, tuning, 0, comparisons)


def shape_along(scale: tuple[int, ...]) -> tuple[int, int]:
    """(k, d): how many directions are kept beside scales of a shape."""
    return (LONGEST if len(scale) == 1 else 0), scale[0]


@functools.lru_cache(maxsize=64)
def _slopes_of(model: Model, unravel: Callable) -> Callable:
    return jax.jit(jax.vmap(slope_of(model, unravel), in_axes=(0, None)))


def _ahead_of_loop(value_and_slope: Callable, x: Array) -> Callable[[Array], Array]:
    """A function of vectors, given with its gradient; what they make of the data alone is computed here."""
    both = ahead_of_loop(value_and_slope, x)
    height = jax.custom_vjp(lambda x: both(x)[0])
    height.defvjp(both, lambda slope, cotangent: (cotangent * slope,))
    return height


@functools.lru_cache(maxsize=64)
def _program_of(
    model: Model, unravel: Callable, size: int, depth: int, *, together: bool, mesh: Mesh | None
) -> Callable:
    """A function (chain, its potential and slope, tuning, draws, comparisons) -> (chain, block)."""
    slope_at = slope_of(model, unravel)

    def program(chain: Chain, info: ParamInfo, tuning: Tuning, draws: Array, comparisons: Comparisons):
        scale, along = jnp.asarray(tuning.scale), jnp.asarray(tuning.along)

        def stretch(u: Array) -> Array:
            return scale @ u if scale.ndim == 2 else scale * (u + (along @ u) @ along)

        def place(u: Array) -> Array:
            return chain.position + stretch(u)

        here = jnp.zeros_like(chain.position)
        (slope,) = jax.linear_transpose(stretch, here)(info.z_grad)
        height = _ahead_of_loop(lambda x: slope_at(x, comparisons), here)
        init, sample = hmc(lambda u: height(place(u)), algo="NUTS")
        state = init(
            ParamInfo(here, info.potential_energy, slope),
            0,
            step_size=tuning.step_size,
            inverse_mass_matrix=jnp.ones_like(here),
            adapt_step_size=False,
            adapt_mass_matrix=False,
            max_tree_depth=depth,
            rng_key=chain.key,
        )

        def draw(index: Array, carried):
            state, kept = carried
            state = sample(state)
            stats = (state.num_steps, state.accept_prob, state.energy, state.diverging)
            seen = Block(place(state.z), state.z_grad, *stats)
            return state, jax.tree.map(lambda every, one: every.at[index].set(one), kept, seen)

        rows, numbers = jnp.zeros((size, *here.shape), here.dtype), jnp.zeros(size, here.dtype)
        counts = jnp.zeros(size, state.num_steps.dtype)
        empty = Block(rows, rows, counts, numbers, numbers, jnp.zeros(size, bool))
        state, block = jax.lax.fori_loop(0, draws, draw, (state, empty))
        return Chain(place(state.z), state.rng_key), block

    if not together:
        return jax.jit(program)
    many = jax.vmap(program, in_axes=(0, 0, None, None, None))
    if mesh is not None:
        own, all_ = PartitionSpec(CHAIN), PartitionSpec()
        places = {"in_specs": (own, own, all_, all_, all_), "out_specs": own, "axis_names": {CHAIN}}
        many = jax.shard_map(many, mesh=mesh, check_vma=False, **places)
    return jax.jit(many)
