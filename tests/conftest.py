"""Compiled programs are dropped after each file of tests.

XLA maps every program that it compiles into memory, in several pieces, and JAX keeps them all. A process that
runs the whole suite would pass the 65,530 mappings that Linux allows by default, and crash.
"""

import gc

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    yield
    jax.clear_caches()
    gc.collect()
