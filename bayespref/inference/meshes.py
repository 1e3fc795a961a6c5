"""Devices of one host or of many, in a grid: chains along one axis, rows of the data along the other.

On JAX's own runtime: on several hosts, `jax.distributed.initialize()` comes before anything else, and every
process runs the same script on the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bayespref.comparisons import Comparisons, refuse

CHAIN, ROW = "chain", "row"


def mesh(*, chains: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """A grid of devices: `chains` of them side by side for chains, the rest for the rows of the data.

    Args:
        chains: devices along the axis of chains; what is left is the axis of rows. All devices for small
            data, 1 for data that are large.
        devices: which; None takes all, of all hosts.

    Returns:
        A `jax.sharding.Mesh` with axes "chain" and "row", to be given to nuts, laplace or svi.

    Raises:
        ValueError: where the devices do not make a grid.

    Example:
        >>> mesh().axis_names
        ('chain', 'row')
    """
    listed = jax.devices() if devices is None else list(devices)
    if chains < 1 or len(listed) % chains:
        raise refuse(f"chains divides the number of devices, {len(listed)}", str(chains))
    grid = np.array(listed).reshape(chains, -1)
    return Mesh(grid, (CHAIN, ROW), axis_types=(AxisType.Auto, AxisType.Auto))


def spread(comparisons: Comparisons, grid: Mesh | None) -> Comparisons:
    """The same data with rows divided among devices, and what all rows share on each; itself without a mesh.

    Rows of weight 0 fill the last device's share.
    """
    if grid is None:
        return comparisons
    _check_axes(grid)
    data = _padded(comparisons, -len(comparisons) % grid.shape[ROW])
    rows, everywhere = NamedSharding(grid, PartitionSpec(ROW)), NamedSharding(grid, PartitionSpec())
    fields = ("shown", "outcome", "count", "weight", "annotator", "row_columns", "shown_columns", "tally")
    shared = ("items", "annotators", "design")
    placed = {name: _placed(getattr(data, name), rows) for name in fields}
    return data.replace(**placed, **{name: _placed(getattr(data, name), everywhere) for name in shared})


def over_chains(tree: Any, grid: Mesh) -> Any:
    """Values (chains, ...) divided among devices along the axis of chains.

    Raises:
        ValueError: where there are fewer chains than devices for them, or chains left over.
    """
    chains = len(jax.tree.leaves(tree)[0])
    if chains % grid.shape[CHAIN]:
        raise refuse(f"the mesh's {grid.shape[CHAIN]} devices for chains divide the chains", str(chains))
    return _placed(tree, NamedSharding(grid, PartitionSpec(CHAIN)))


def fetched(tree: Any) -> Any:
    """Arrays of all devices as numpy arrays on every host; keys as keys."""
    return jax.tree.map(_fetched, tree)


def _fetched(value: jax.Array) -> Any:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_fetched(jax.random.key_data(value)))
    if isinstance(value, jax.Array) and not (value.is_fully_addressable or value.is_fully_replicated):
        from jax.experimental.multihost_utils import process_allgather

        return np.asarray(process_allgather(value, tiled=True))
    return np.asarray(value)


def _placed(tree: Any, sharding: NamedSharding) -> Any:
    def one(value: jax.Array) -> jax.Array:
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(jax.random.key_data(value)))
        host = np.asarray(value)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(one, tree)


def _padded(comparisons: Comparisons, more: int) -> Comparisons:
    from bayespref.subsetting import take

    if not more:
        return comparisons
    n = len(comparisons)
    longer = take(comparisons.replace(source_rows=None, tally=None), np.minimum(np.arange(n + more), n - 1))
    counts = jnp.where(jnp.arange(n + more) < n, longer.weight, 0)
    tally = comparisons.tally
    if tally is not None:
        tally = jnp.concatenate([tally, jnp.zeros((more, tally.shape[1]), tally.dtype)])
    return longer.replace(weight=counts, tally=tally)


def _check_axes(grid: Mesh) -> None:
    if set(grid.axis_names) != {CHAIN, ROW}:
        raise refuse(
            "a mesh has axes 'chain' and 'row'", f"{grid.axis_names}", remedy="Make it with bayespref.mesh()."
        )
