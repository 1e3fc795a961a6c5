"""What arguments of the command line name: options of a model, an inference method and its settings."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    import xarray as xr

    from bayespref.comparisons import Comparisons

Json = Annotated[bool, Parameter(name="--json", negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Unit = Literal["comparison", "annotator"]
ModelFiles = Annotated[list[str] | None, Parameter(name="--model", negative="")]

METHODS = ("nuts", "laplace", "svi")


def options_from(pairs: Sequence[str]) -> dict[str, Any]:
    """Options of a model from name=value; values are Python literals where they read as such, else text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--set takes name=value; got {pair!r}. Such as --set scale=2.")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


def checked_sites(model: Callable, answers: Comparisons, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sites of a model; an option that was read as text and breaks the model is refused."""
    from bayespref.inference.program import sites_of

    try:
        return sites_of(model, answers)
    except TypeError as error:
        text = [f"{name}={value!r}" for name, value in options.items() if isinstance(value, str)]
        if not text:
            raise
        raise ValueError(
            f"options of a model have values that it can use; got {', '.join(text)}, read as text: {error}. "
            "Numbers, True, None and lists such as [1,2] are written as in Python."
        ) from error


def place_from(at: str | None) -> dict[str, int] | None:
    """class=0 as a mapping."""
    if at is None:
        return None
    name, equals, number = at.partition("=")
    if not equals or not number.strip().isdigit():
        raise ValueError(f"--at takes name=number; got {at!r}. Such as --at class=0.")
    return {name.strip(): int(number)}


def method_with(name: str, settings: Mapping[str, Any], *, progress: bool) -> Callable[..., xr.DataTree]:
    """An inference function with its settings bound; its verdict is printed, so its warnings are not."""
    import inspect

    import bayespref

    method = getattr(bayespref, name)
    known = inspect.signature(method).parameters
    given = {name: value for name, value in settings.items() if value is not None}
    if strange := [name for name in given if name not in known]:
        having = [
            other
            for other in METHODS
            if strange[0] in inspect.signature(getattr(bayespref, other)).parameters
        ]
        raise ValueError(
            f"{name} has no setting {strange[0].replace('_', '-')}; got --{strange[0].replace('_', '-')} "
            f"{given[strange[0]]}. Leave it out, or fit with --method {' or '.join(having)}."
        )
    if bad := [name for name, value in given.items() if not isinstance(value, str) and value <= 0]:
        raise ValueError(
            f"settings of {name} are positive; got --{bad[0].replace('_', '-')} {given[bad[0]]}."
        )
    if "progress" in known:
        given["progress"] = progress

    def run(key, model: Callable, answers: Comparisons) -> xr.DataTree:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bayespref.FitWarning)
            return method(key, model, answers, **given)

    return run


def check_folder(output: Path) -> None:
    """Refuse to write into a folder that is not there."""
    if not output.parent.is_dir():
        raise ValueError(
            f"output goes into a folder that exists; got {str(output)!r}. Make the folder first."
        )
