"""ArviZ leaves an unloaded numpyro in `sys.modules`; submodules imported through it lose attributes.

`import arviz` followed by `import numpyro.distributions as dist` alone breaks `numpyro.factor` (numpyro 0.22,
arviz-base 1.3, lazy-loader). Load numpyro whole, and hang every submodule on its parent.
"""

import sys

import numpyro

assert numpyro.__version__  # touching an attribute loads a lazy module

for _name, _module in list(sys.modules.items()):
    if _name.startswith("numpyro."):
        _parent, _, _child = _name.rpartition(".")
        if not hasattr(sys.modules[_parent], _child):
            setattr(sys.modules[_parent], _child, _module)
