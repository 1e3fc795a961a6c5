"""Arrays from the host to the device."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array


def device_array(values: Any, dtype: Any = None) -> Array:
    """A copy on the device, without compiling: `jnp.asarray` compiles a program for every new shape.

    Args:
        values: what numpy takes for an array.
        dtype: its type there; None keeps it, in the precision that JAX computes in.

    Example:
        >>> device_array([0.5, 1.0]).dtype
        dtype('float32')
    """
    return jax.device_put(np.array(values, None if dtype is None else np.dtype(dtype)))
