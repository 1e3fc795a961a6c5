"""What depends on the data alone is computed once, not at every step of an optimiser.

A Gaussian process evaluates its basis at every point that was shown; an optimiser asks for the same points
hundreds of times. JAX's partial evaluation splits a function into the part that the data fix and the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import jaxpr_as_fun
from jax.interpreters.partial_eval import convert_constvars_jaxpr, partial_eval_jaxpr_nounits

from bayespref.comparisons import Comparisons


def hoist(function: Callable, comparisons: Comparisons, *examples: Any) -> Callable:
    """Fix the comparisons: `function(comparisons, *args)` becomes a compiled function of `args`.

    Data of the same shapes share a compilation.

    Args:
        function: pure and traceable, with every derivative already taken: what comes out is not to be
            differentiated.
        comparisons: the data.
        examples: arguments of the shapes that will come.

    Returns:
        A function of `args`, to be called with arguments of those shapes.

    Example:
        >>> slope = hoist(jax.grad(loss, argnums=1), answers, start)  # doctest: +SKIP
    """
    data, structure = jax.tree.flatten(comparisons)
    args, arguments = jax.tree.flatten(examples)
    shapes = tuple(jax.typeof(jax.numpy.asarray(leaf)) for leaf in (*data, *args))
    known, rest, outputs = _split(function, structure, arguments, shapes)
    fixed = known(*data)

    def hoisted(*args: Any) -> Any:
        return jax.tree.unflatten(outputs, rest(fixed, *jax.tree.leaves(args)))

    return hoisted


def ahead_of_loop(function: Callable, *examples: Any) -> Callable:
    """Compute what does not depend on the arguments here, and only the rest at each call, inside a trace.

    XLA leaves what grows, such as a basis at every point, inside the loop that calls the function.

    Args:
        function: pure, of arrays, with every derivative already taken; it may close over traced arrays.
        examples: arguments of the shapes that will come.

    Returns:
        The same function, to be called with arguments of those shapes.

    Example:
        >>> x = jnp.arange(3.0)
        >>> f = ahead_of_loop(lambda z: z * jnp.exp(x), jnp.float32(0))
        >>> f(jnp.float32(2)).shape
        (3,)
    """
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), examples)
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*shapes)
    whole = type(closed)(convert_constvars_jaxpr(closed.jaxpr), ())
    number, outputs = len(closed.consts), jax.tree.structure(shape)
    unknown = [index >= number for index in range(len(whole.in_avals))]
    known, rest, _, residuals = partial_eval_jaxpr_nounits(whole, unknown, instantiate=True)
    fixed = jaxpr_as_fun(known)(*closed.consts)[len(known.out_avals) - len(residuals) :]

    def finished(*args: Any) -> Any:
        return jax.tree.unflatten(outputs, jaxpr_as_fun(rest)(*fixed, *jax.tree.leaves(args)))

    return finished


@functools.lru_cache(maxsize=64)
def _split(function: Callable, structure: Any, arguments: Any, shapes: tuple) -> tuple:
    """Compiled functions of the data, and of what the first returns and the arguments."""
    outputs = []
    number = structure.num_leaves

    def flat(*leaves: Array) -> list[Array]:
        comparisons = jax.tree.unflatten(structure, leaves[:number])
        out, tree = jax.tree.flatten(function(comparisons, *jax.tree.unflatten(arguments, leaves[number:])))
        outputs.append(tree)
        return out

    whole = jax.make_jaxpr(flat)(*(jax.ShapeDtypeStruct(s.shape, s.dtype) for s in shapes))
    unknown = [index >= number for index in range(len(shapes))]
    known, rest, _, residuals = partial_eval_jaxpr_nounits(whole, unknown, instantiate=True)
    first = len(known.out_avals) - len(residuals)
    compute = jaxpr_as_fun(known)
    finish = jaxpr_as_fun(rest)
    return (
        jax.jit(lambda *data: compute(*data)[first:]),
        jax.jit(lambda fixed, *args: finish(*fixed, *args)),
        outputs[0],
    )
