"""A run in a file, so that it can be taken up where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref import __version__
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.blocks import Block, Chain, Tuning
from bayespref.inference.program import identity
from bayespref.inference.sampling import Run, State
from bayespref.inference.tuning import Step


class Checkpoint:
    """The file of one run: of this model, these data, key and plan, and no other."""

    def __init__(self, path: Path, run: Run, key: Array, steps: list[Step], chains: int):
        if not path.parent.is_dir():
            raise refuse(
                "a checkpoint lies in a folder that is there", repr(str(path)), remedy="Make the folder."
            )
        self.path, self.key = path, key
        setting = [run.target_accept, run.max_tree_depth, steps, chains, __version__]
        parts = [identity(run.model), setting, np.asarray(jax.random.key_data(key)).tolist()]
        self.of = _digest(run.comparisons, json.dumps(parts))

    def load(self, begun: State) -> State:
        """The run as it was left, or `begun` where there is no file.

        Raises:
            ValueError: when the file is of another run, or cannot be read.
        """
        if not self.path.exists():
            return begun
        try:
            with open(self.path, "rb") as file:
                held = dict(np.load(file, allow_pickle=False))
        except Exception as error:
            raise refuse(
                "a checkpoint is a whole file",
                f"{str(self.path)!r}, which cannot be read ({type(error).__name__})",
                remedy="Remove it, and the run starts anew.",
            ) from error
        if str(held.get("of")) != self.of:
            raise refuse(
                "a run goes on from its own checkpoint: same model, data, key, settings and version",
                f"{str(self.path)!r}, of another run",
                remedy="Name another file, or remove this one, and the run starts anew.",
            )
        keys = jax.random.wrap_key_data(jnp.asarray(held["keys"]), impl=jax.random.key_impl(self.key))
        chains = [Chain(jnp.asarray(z), key) for z, key in zip(held["positions"], keys, strict=True)]
        tuning = Tuning(jnp.asarray(held["scale"]), float(held["step_size"]), jnp.asarray(held["along"]))
        sizes = [(int(draws), float(size)) for draws, size in held["sizes"].reshape(-1, 2)]
        blocks = (_blocks(held, name) for name in ("window", "kept"))
        return State(int(held["done"]), chains, tuning, sizes, *blocks)

    def save(self, state: State) -> None:
        """Write the run, whole or not at all; of several processes, the first writes for all."""
        if jax.process_index() > 0:
            return
        values = {
            "of": np.array(self.of),
            "done": np.array(state.done),
            "positions": np.stack([chain.position for chain in state.chains]),
            "keys": np.stack([jax.random.key_data(chain.key) for chain in state.chains]),
            "scale": np.asarray(state.tuning.scale),
            "along": np.asarray(state.tuning.along),
            "step_size": np.asarray(state.tuning.step_size),
            "sizes": np.array(state.sizes),
        }
        for name in ("window", "kept"):
            for step, chains in enumerate(getattr(state, name)):
                for field in Block._fields:
                    values[f"{name}.{step}.{field}"] = np.stack([getattr(one, field) for one in chains])
        with tempfile.TemporaryDirectory(dir=self.path.parent or ".", prefix=f".{self.path.name}.") as folder:
            part = Path(folder) / "part.npz"
            np.savez(part, allow_pickle=False, **values)
            os.replace(part, self.path)


def _blocks(held: dict[str, np.ndarray], name: str) -> list[list[Block]]:
    """Blocks by step and chain."""
    steps = sum(key.startswith(f"{name}.") and key.endswith(f".{Block._fields[0]}") for key in held)
    found = []
    for step in range(steps):
        fields = [held[f"{name}.{step}.{field}"] for field in Block._fields]
        found.append([Block(*one) for one in zip(*fields, strict=True)])
    return found


def _digest(comparisons: Comparisons, text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(comparisons):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:32]
