"""One picture a function: (result, *, ax=None) -> matplotlib Axes."""

from bayespref.plots.annotators import annotators
from bayespref.plots.calibration import calibration
from bayespref.plots.comparison import comparison
from bayespref.plots.forest import forest
from bayespref.plots.win_matrix import win_matrix

__all__ = ["annotators", "calibration", "comparison", "forest", "win_matrix"]
