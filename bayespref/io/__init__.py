"""Data in and out: tables of answers, and the `xarray.DataTree` form that a fit carries."""

from bayespref.io.datatree import from_datatree, to_datatree
from bayespref.io.guess import guess_columns
from bayespref.io.table import join_items, read_table

__all__ = ["from_datatree", "guess_columns", "join_items", "read_table", "to_datatree"]
