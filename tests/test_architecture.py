"""What holds of the whole package: who imports whom, what signatures look like, how long files are."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys

import pytest
from helpers import ROOT

import bayespref

PACKAGE = ROOT / "bayespref"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "models" not in path.relative_to(PACKAGE).parts)
GALLERY = sorted((ROOT / "models").glob("*.py"))
ANYWHERE = {
    *("cli", "cli_check", "cli_columns", "cli_methods", "cli_output"),
    *("html_page", "html_report", "gallery", "wording", "report", "train"),
}
"""The edge of the package, which sees everything."""
LAYERS = {
    "arrays comparisons answers validation subsetting design points": {
        "inference",
        "elpd",
        "evidence",
        "predictive",
        "ranks",
        "plots",
    },
    "choices losses behaviours limits pooled supports toys populations rewards observation parametrisation": {
        *("inference", "elpd", "evidence", "predictive", "ranks", "plots", "diagnostics", "io"),
    },
    "io": {"inference", "elpd", "evidence", "predictive", "ranks", "plots", "diagnostics"},
    "inference": {"elpd", "evidence", "predictive", "ranks", "plots", "diagnostics"},
    "aggregation belonging calibration elpd options evidence predictive profiles ranks": {
        *("plots", "diagnostics"),
    },
    "checks search": {"plots", "diagnostics"},
    "diagnostics": {"plots"},
}
"""Modules -> what they must not import."""


def part(path):
    """The first name under the package: comparisons, inference, rewards..."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Names of the package that a file imports, wherever in it, those for type checkers aside."""
    tree = ast.parse(path.read_text())
    branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    ignored = {
        id(i) for node in branches if ast.unparse(node.test) == "TYPE_CHECKING" for i in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {name.split(".")[1] for name in found if name.startswith("bayespref.")}


def forbidden(path):
    return next((names for parts, names in LAYERS.items() if part(path) in parts.split()), set())


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_imports_point_one_way(path):
    assert not imports(path) & forbidden(path)
    if part(path) not in ANYWHERE:
        assert not imports(path) & ANYWHERE


def test_every_part_has_its_place():
    """A module that is new is put into a layer here."""
    placed = (
        {name for parts in LAYERS for name in parts.split()} | ANYWHERE | {"plots", "__init__", "_numpyro"}
    )
    assert {part(path) for path in FILES} <= placed


def test_the_gallery_uses_public_names_only():
    for path in GALLERY:
        if path.stem != "__init__":
            assert imports(path) <= {"behaviours", "choices", "populations", "rewards", "supports"}, path
            assert "bayespref.inference" not in path.read_text()


def test_files_are_short():
    lines = {path.name: len(path.read_text().splitlines()) for path in FILES + GALLERY}
    assert {name: length for name, length in lines.items() if length > 400} == {}


def test_behaviours_sample_nothing():
    text = (PACKAGE / "behaviours.py").read_text()
    assert "sample" not in text and "numpyro" not in text


def test_importing_is_cheap_and_sets_nothing():
    """`import bayespref` loads nothing heavy, and neither it nor its modules switch on x64."""
    code = """
import sys, bayespref
heavy = {"jax", "numpyro", "arviz", "arviz_stats", "pandas", "matplotlib", "xarray", "numpy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
bayespref.nuts, bayespref.compare, bayespref.plots, bayespref.read_table
import jax
assert not jax.config.jax_enable_x64
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# ---- public names ------------------------------------------------------------------------------------


def exports():
    """Public name -> module it comes from, as `__init__.pyi` lists them."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.asname: line.module for line in lines for name in line.names}


PUBLIC = {name: getattr(bayespref, name) for name in exports()}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
WITH_FAMILY = [
    *("behaviours", "choices", "populations", "rewards", "plots", "diagnostics", "models"),
    *("limits", "losses", "supports", "toys"),
]
FAMILIES = {
    f"{family}.{name}": function
    for family in WITH_FAMILY
    for name, function in inspect.getmembers(PUBLIC[family], inspect.isfunction)
    if not name.startswith("_")
    and function.__module__.startswith(f"bayespref.{family}")
    and (name in getattr(PUBLIC[family], "__all__", [name]))
}


def test_every_export_exists_and_is_listed():
    assert set(bayespref.__all__) == set(exports())
    assert set(exports()) <= set(dir(bayespref))
    assert len(FUNCTIONS) >= 18


RUN, JUDGE = ("key", "model", "comparisons"), ("key", "model", "fit")
SIGNATURES = {
    "nuts": RUN,
    "laplace": RUN,
    "svi": RUN,
    "simulate": RUN,
    "loo": JUDGE,
    "log_evidence": JUDGE,
    "consequences": JUDGE,
    "check": JUDGE,
    "try_next": JUDGE,
    "predict": (*JUDGE, "new"),
    "posterior_predictive": JUDGE,
    "win_probability": JUDGE,
    "ranking": ("fit",),
    "superiority": ("fit",),
    "convergence": ("fit",),
    "verdict": ("fit",),
    "compare": ("results",),
    "conclusion": ("table",),
    "observe": ("comparisons", "choice"),
    "read_table": ("source",),
    "save": ("fit", "path"),
    "load": ("path",),
}
"""What comes by position; everything else is an option, by keyword."""


def positional(function):
    parameters = inspect.signature(function).parameters.items()
    return tuple(name for name, one in parameters if one.kind != one.KEYWORD_ONLY)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_law(name):
    assert positional(FUNCTIONS[name]) == SIGNATURES[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_by_keyword(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    for one in parameters:
        assert one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD), one
        if one.kind != one.KEYWORD_ONLY:
            assert one.default is one.empty, f"{one} is an option, so keyword-only"
    if "key" in (one.name for one in parameters):
        assert positional(FUNCTIONS[name])[:2] in {("key", "model"), ("key", "fits")}


DOCUMENTED = FUNCTIONS | {name: one for name, one in FAMILIES.items() if not name.startswith("models.")}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_public_functions_are_documented(name):
    text = inspect.getdoc(DOCUMENTED[name]) or ""
    assert text.splitlines()[0].rstrip()[-1] in ".:?)" and "Args:" in text
    for argument in inspect.signature(DOCUMENTED[name]).parameters:
        assert argument in text.partition("Args:")[2], argument
    assert ">>>" in text


# ---- examples in docstrings run ----------------------------------------------------------------------

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
