"""Models by what the command line calls them: a name of the gallery, or `path.py:function`.

Nothing here loads JAX until a model is imported.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import inspect
import json
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

FOLDER = Path(__file__).parent / "models"
MODEL_SPEC = "model_spec"
"""Attribute of a fit: how to find its model again."""


def refuse(must: str, got: str, *, remedy: str = "") -> ValueError:
    """Refuse in the library's one form, without loading the library first."""
    from bayespref.comparisons import refuse

    return refuse(must, got, remedy=remedy)


def gallery() -> dict[str, str]:
    """Name and one line for every model of the gallery, read from the files without running them.

    Example:
        >>> gallery()["bradley_terry"]
        'Bradley-Terry: one annotator, one worth for each item.'
    """
    lines = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines[path.stem] = text.partition("\n")[0]
    return lines


def find_model(spec: str, options: Mapping[str, Any] | None = None) -> Callable[..., Any]:
    """Find a model and bind its options.

    Args:
        spec: a name of the gallery, or `path.py:function`.
        options: keyword options of the model.

    Returns:
        The model, with options bound by `functools.partial`.

    Raises:
        ValueError: for an unknown name, file, function or option.

    Example:
        >>> find_model("bradley_terry", {"scale": 1.0})  # doctest: +SKIP
    """
    path, colon, name = spec.rpartition(":")
    if colon and path.endswith(".py"):
        model = _from_file(Path(path), name)
    elif spec.endswith(".py"):
        raise refuse(
            "a model in a file is given as path.py:function",
            repr(spec),
            remedy=_offer(Path(spec), _run(Path(spec))),
        )
    else:
        model = _from_gallery(spec)
    options = dict(options or {})
    _check_options(spec, model, options)
    return functools.partial(model, **options) if options else model


def model_of(fit: xr.DataTree, specs: Sequence[str] = ()) -> Callable[..., Any]:
    """Find the model that made a fit, with the options it was fitted with.

    Args:
        fit: a fit; made by the command line, it says where its model is.
        specs: where to look first, `path.py:function`; those with the name of the fit's model count.

    Raises:
        ValueError: when the model cannot be found, or is no longer the one that made the fit.

    Example:
        >>> model_of(bp.load("pooled.nc"), ["mine.py:hurried"])  # doctest: +SKIP
    """
    from bayespref.inference.fit import check_same_model

    name = str(fit.attrs.get("model"))
    given = [spec for spec in specs if spec.rpartition(":")[2] == name]
    spec = given[0] if given else str(fit.attrs.get(MODEL_SPEC, name))
    if ":" not in spec and spec not in gallery():
        raise refuse(
            "a fit is judged together with its model",
            f"a fit of {name!r}, which is not in the gallery, made without saying in which file it is",
            remedy=f"Say where it is: --model path.py:{name}.",
        )
    model = find_model(spec, json.loads(fit.attrs.get("model_options", "{}")))
    check_same_model(model, fit)
    return model


def story(model: Callable[..., Any]) -> list[str]:
    """The paragraphs of a model's docstring: the generative story, without its arguments."""
    while isinstance(model, functools.partial):
        model = model.func
    text = inspect.getdoc(model) or ""
    text = text.partition("\nArgs:")[0]
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def options_of(model: Callable[..., Any]) -> dict[str, Any]:
    """Every option of a model with its value: as bound, else the default."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(model).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def _from_gallery(name: str) -> Callable[..., Any]:
    known = gallery()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise refuse(
            "a model is one of the gallery, or path.py:function",
            f"{name!r}, with {', '.join(known)} in the gallery",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    return getattr(importlib.import_module(f"bayespref.models.{name}"), name)


def _from_file(path: Path, name: str) -> Callable[..., Any]:
    module = _run(path)
    model = getattr(module, name, None)
    if not callable(model):
        near = difflib.get_close_matches(name, _functions(module), n=1)
        raise refuse(
            "a model is a function in the file",
            f"no function {name!r} in {str(path)!r}",
            remedy=f"Did you mean {near[0]!r}? {_offer(path, module)}" if near else _offer(path, module),
        )
    return model


def _run(path: Path) -> types.ModuleType:
    """Import a file by its path; compiled anew, for a cached file may be older than the text by a second."""
    if not path.is_file():
        raise refuse("a model in a file is given as path.py:function", f"no file {str(path)!r}")
    import bayespref._numpyro  # noqa: F401 (before the file's own imports of numpyro)

    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    module = types.ModuleType(f"model_file_{path.stem}")
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # data classes look their module up
    try:
        code = compile(path.read_bytes(), module.__file__, "exec")
    except SyntaxError as error:
        raise refuse(
            "a model file is Python", f"{str(path)!r} with a syntax error in line {error.lineno}: {error.msg}"
        ) from error
    exec(code, module.__dict__)
    return module


def _functions(module: types.ModuleType) -> list[str]:
    """Names of what a file itself defines."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", "") == module.__name__
    ]


def _offer(path: Path, module: types.ModuleType) -> str:
    names = _functions(module)
    return f"It has {', '.join(names)}." if names else f"{path.name} defines no function."


def _check_options(spec: str, model: Callable[..., Any], options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(model).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = options_of(model)
    if unknown := [name for name in options if name not in known]:
        listed = ", ".join(f"{name}={value!r}" for name, value in known.items()) or "none"
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise refuse(
            f"options of {spec} are {listed}",
            ", ".join(repr(name) for name in unknown),
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
