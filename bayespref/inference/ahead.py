"""Compile several programs at once: XLA compiles in threads while Python traces the next."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp


class Ahead:
    """Compiles lowered programs in threads until its block ends; calls of the same shapes find them compiled.

    Example:
        >>> with Ahead() as ahead:
        ...     started = ahead(jax.jit(f).lower(like((2,))) for f in (jax.numpy.sin, jax.numpy.cos))
    """

    def __enter__(self) -> Ahead:
        """Start without programs."""
        self._pool = ThreadPoolExecutor(max(2, cores()))
        self._waiting: list[Future] = []
        return self

    def __call__(self, programs: Iterable[jax.stages.Lowered]) -> list[Future]:
        """Start compiling, one while the next is traced in this thread; what can be waited for."""
        started = [self._pool.submit(program.compile) for program in programs]
        self._waiting += started
        return started

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for all of them, and raise what the first that failed said."""
        self._pool.shutdown(cancel_futures=kind is not None)
        for one in self._waiting if kind is None else []:
            one.result()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def like(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """What stands for an array where only its shape matters, and its type, else that of JAX's floats."""
    return jax.ShapeDtypeStruct(shape, jnp.result_type(float) if dtype is None else dtype)
