"""Many fits of one model at once: data sets of one shape side by side, through one compiled program."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec
from numpyro.infer import NUTS
from numpyro.infer.util import constrain_fn, potential_energy

from bayespref.comparisons import Comparisons
from bayespref.inference.program import Model, Values
from bayespref.inference.starting import NUDGE, medians

FIXED = ("warmup", "draws", "thin", "depth", "mesh")


@functools.partial(jax.jit, static_argnums=(0,), static_argnames=FIXED)
def nuts_side_by_side(
    model: Model,
    keys: Array,
    comparisons: Comparisons,
    *,
    warmup: int,
    draws: int,
    thin: int,
    target_accept: float,
    depth: int,
    mesh: Mesh | None = None,
) -> Values:
    """One chain of the no-U-turn sampler for each data set: draws (s, draws, ...) of every latent site.

    Args:
        model: the declaration.
        keys: (s,) keys.
        comparisons: data whose `outcome` has a leading axis (s,); everything else is shared.
        warmup: steps of adaptation.
        draws: draws kept.
        thin: steps from one draw kept to the next.
        target_accept: target acceptance.
        depth: limit on doublings of a trajectory.
        mesh: devices to divide the data sets among, each at its own pace.
    """

    def one(key: Array, outcome: Array, comparisons: Comparisons) -> Values:
        data = comparisons.replace(outcome=outcome)

        def potential(z: Values) -> Array:
            return jnp.asarray(potential_energy(model, (data,), {}, z))

        start_key, init_key = jax.random.split(key)
        start = medians(model, data)
        noise = jax.random.split(start_key, len(start))
        start = {
            name: value + NUDGE * jax.random.normal(k, value.shape)
            for (name, value), k in zip(sorted(start.items()), noise, strict=True)
        }
        kernel = NUTS(potential_fn=potential, target_accept_prob=target_accept, max_tree_depth=depth)
        state = kernel.init(init_key, warmup, init_params=start)

        def advance(state, steps: int):
            return jax.lax.fori_loop(0, steps, lambda _, s: kernel.sample(s, (), {}), state)

        def kept(state, _):
            state = advance(state, thin)
            return state, state.z

        _, points = jax.lax.scan(kept, advance(state, warmup), None, length=draws)
        return jax.vmap(lambda z: constrain_fn(model, (data,), {}, z))(points)

    each, outcome = jax.vmap(one, in_axes=(0, 0, None)), jnp.asarray(comparisons.outcome)
    if mesh is not None:
        own, all_ = PartitionSpec(mesh.axis_names), PartitionSpec()
        each = jax.shard_map(each, mesh=mesh, in_specs=(own, own, all_), out_specs=own, check_vma=False)
    return each(keys, outcome, comparisons.replace(outcome=None))
