"""A run of chains: blocks one after the other, tuned in between, side by side on what the machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import cores
from bayespref.inference.blocks import Block, Chain, Tuning, advance, shape_along
from bayespref.inference.meshes import fetched, over_chains
from bayespref.inference.program import Model
from bayespref.inference.scales import Beginning
from bayespref.inference.tuning import (
    LARGEST,
    LITERAL,
    TREES,
    Step,
    off_return,
    quarter_turn,
    rescaled,
    settled,
    stepped,
)

if TYPE_CHECKING:
    from bayespref.inference.checkpoint import Checkpoint

METHODS = ("parallel", "vectorized", "sequential")


class Run(NamedTuple):
    """What stays the same over a run."""

    model: Model
    unravel: Callable
    comparisons: Comparisons
    target_accept: float
    max_tree_depth: int
    chain_method: str | None
    mesh: Mesh | None = None


class State(NamedTuple):
    """What a run carries from block to block.

    Attributes:
        done: steps of the plan that are behind. chains: (chains, ...) where they stand.
        tuning: how they move. sizes: draws of each block of warm-up, and the step size found after it.
        window: blocks since the scales were last taken, by step and chain.
        kept: blocks of draws, by step and chain.
    """

    done: int
    chains: list[Chain]
    tuning: Tuning
    sizes: list[tuple[int, float]]
    window: list[list[Block]]
    kept: list[list[Block]]


def sample(
    keys: Iterable[Array],
    run: Run,
    begun: Beginning,
    steps: list[Step],
    held: Checkpoint | None,
    *,
    progress: bool,
) -> list[list[Block]]:
    """Run the steps of a plan, a key for every chain; the blocks of draws of every chain."""
    from tqdm.auto import tqdm

    state = begin(keys, begun)
    if held is not None:
        state = held.load(state)
    if method_of(run.chain_method, run.mesh) == "parallel":
        # Compiled before there are threads, which NumPyro's handlers cannot take.
        all_advanced(run, state.chains[:1], state.tuning, 0)
    total = sum(step.draws for step in steps)
    with tqdm(total=total, disable=not progress or jax.process_index() > 0, desc="nuts") as bar:
        bar.update(sum(step.draws for step in steps[: state.done]))
        for step in steps[state.done :]:
            state = advanced(run, state, step)
            if held is not None:
                held.save(state)
            bar.update(step.draws)
    return [list(blocks) for blocks in zip(*state.kept, strict=True)]


def begin(keys: Iterable[Array], begun: Beginning) -> State:
    """A run before its first block."""
    chains = [Chain(jnp.asarray(p), k) for p, k in zip(begun.positions, keys, strict=True)]
    first = off_return(min(1.0, 1.5 * begun.positions.shape[1] ** -0.25))
    along = jnp.zeros(shape_along(begun.scale.shape), begun.scale.dtype)
    return State(0, chains, Tuning(jnp.asarray(begun.scale), first, along), [], [], [])


def advanced(run: Run, state: State, step: Step) -> State:
    """The run one step of its plan further on."""
    chains, blocks = all_advanced(run, state.chains, state.tuning, step.draws)
    if step.kept:  # slopes are for tuning
        blocks = [block._replace(slope=block.slope[:0]) for block in blocks]
        return state._replace(done=state.done + 1, chains=chains, kept=[*state.kept, blocks])
    tuning, window = stepped(state.tuning, blocks, run.target_accept), [*state.window, blocks]
    sizes = [*state.sizes, (step.draws, tuning.step_size)]
    if step.rescales:
        tuning, window = rescaled(tuning, [block for each in window for block in each]), []
    if step.settles:
        tuning = tuning._replace(step_size=settled(sizes))
        diverged = any(block.diverging.any() for each in [*state.window, blocks] for block in each)
        longer = run.target_accept <= LITERAL and not diverged
        if TREES[-1] < 2**run.max_tree_depth - 1:
            steps = np.concatenate([block.n_steps for block in blocks])
            tuning = quarter_turn(tuning, steps, longer=longer)
    return state._replace(done=state.done + 1, chains=chains, tuning=tuning, sizes=sizes, window=window)


def all_advanced(
    run: Run, chains: list[Chain], tuning: Tuning, draws: int
) -> tuple[list[Chain], list[Block]]:
    """All chains a block further on, and what each drew."""

    def forward(chain: Chain) -> tuple[Chain, Block]:
        size = {"size": LARGEST, "depth": run.max_tree_depth, "mesh": run.mesh}
        chain, block = advance(run.model, run.unravel, chain, tuning, run.comparisons, draws, **size)
        return chain, fetched(block)

    method = method_of(run.chain_method, run.mesh)
    if method == "vectorized":
        together = _stacked(chains)
        chain, block = forward(together if run.mesh is None else over_chains(together, run.mesh))
        chain = fetched(chain)
        pairs = list(zip(_apart(chain, len(chains)), _apart(block, len(chains)), strict=True))
    elif method == "sequential" or len(chains) == 1:
        pairs = [forward(chain) for chain in chains]
    else:
        with ThreadPoolExecutor(min(len(chains), cores())) as pool:
            pairs = list(pool.map(forward, chains))
    blocks = [jax.tree.map(lambda value: value[:draws], block) for _, block in pairs]
    return [chain for chain, _ in pairs], blocks


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *each: jnp.stack(each), *trees)


def _apart(tree: Any, number: int) -> list[Any]:
    return [jax.tree.map(lambda value, index=index: value[index], tree) for index in range(number)]


def method_of(chain_method: str | None, mesh: Mesh | None) -> str:
    """What was asked for, or what suits the machine."""
    one = mesh is None and jax.default_backend() == "cpu"
    return chain_method or ("parallel" if one else "vectorized")
