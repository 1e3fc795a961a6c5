"""Compiled programs kept in a folder, for processes that come later."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from bayespref.comparisons import refuse


def compilation_cache(folder: str | os.PathLike) -> None:
    """Keep compiled programs in a folder: a later process compiles nothing that this one did.

    It is JAX's own persistent cache, with small programs kept too: a fit compiles many. Call it before the
    first fit. On the command line, BAYESPREF_CACHE names the folder. Programs are for machines of one kind.

    Args:
        folder: where; made where it is not there.

    Raises:
        ValueError: for a path that is no folder.

    Example:
        >>> compilation_cache("~/.cache/bayespref")  # doctest: +SKIP
    """
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise refuse("programs are kept in a folder", f"a file, {str(folder)!r}")
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
