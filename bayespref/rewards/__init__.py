"""Rewards: each samples its prior inside a model and gives the log-density of what can be chosen."""

from bayespref.rewards.cycles import cycles
from bayespref.rewards.flow import flow
from bayespref.rewards.from_columns import from_columns
from bayespref.rewards.gp import gp
from bayespref.rewards.item_table import item_table
from bayespref.rewards.linear import linear
from bayespref.rewards.neural import neural

__all__ = ["cycles", "flow", "from_columns", "gp", "item_table", "linear", "neural"]
