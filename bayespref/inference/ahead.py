"""Compile several programs at once: XLA compiles in threads while Python traces the next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np


def compile_side_by_side(programs: Iterable[jax.stages.Lowered]) -> None:
    """Compile lowered programs, each in a thread; calls with arguments of the same shapes find them compiled.

    Args:
        programs: an iterator, so that one is traced (in this thread) while those before it are compiled.

    Example:
        >>> compile_side_by_side(jax.jit(f).lower(like((2,))) for f in (jax.numpy.sin, jax.numpy.cos))
    """
    with ThreadPoolExecutor(max(2, cores())) as pool:
        waiting = [pool.submit(program.compile) for program in programs]
    for one in waiting:
        one.result()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def like(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """What stands for an array where only its shape matters."""
    return jax.ShapeDtypeStruct(shape, dtype)
