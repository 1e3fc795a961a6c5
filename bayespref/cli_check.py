"""Commands that judge a fit's annotators: check, and try-next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bayespref.cli_methods import Json, ModelFiles, check_folder
from bayespref.cli_output import (
    check_record,
    check_table,
    comparison_table,
    console,
    tell,
    trust_record,
    write_json,
)
from bayespref.gallery import MODEL_SPEC, model_of

PICTURES = (".png", ".pdf", ".svg")
File = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def check(
    fit: Path,
    /,
    *,
    model: ModelFiles = None,
    seed: int = 0,
    replicates: int = 199,
    alpha: float = 0.05,
    time: str | None = None,
    output: File = None,
    as_json: Json = False,
) -> None:
    """Say which assumption about the annotators fails, and what to try next.

    Args:
        fit: A fit that `bayespref fit` wrote.
        model: path.py:function of the fit's model, where the fit cannot say.
        seed: Seed of all that is random.
        replicates: Tables of answers that the fit would expect, to compare with.
        alpha: Probability of saying "fails" about a model that is right.
        time: Column of the time of answers; "time" where that is there.
        output: Where to draw every check (.png, .pdf or .svg).
        as_json: Write JSON.
    """
    if output is not None:
        _check_picture(output)
    import jax

    from bayespref import check as judge
    from bayespref import load
    from bayespref.inference.trust import trust
    from bayespref.wording import check_note

    loaded = load(fit)
    found = model_of(loaded, model or [])
    tell(f"checking {loaded.attrs['model']} against {replicates} replicated tables, seed {seed}")
    result = judge(jax.random.key(seed), found, loaded, replicates=replicates, alpha=alpha, time=time)
    if output is not None:
        import matplotlib.pyplot as plt

        from bayespref import plots

        plots.checks(result)
        plt.savefig(output, dpi=160)
        plt.close()
    if as_json:
        write_json(
            {"fit": str(fit), "model": loaded.attrs["model"], **check_record(result), **trust_record(loaded)}
        )
        return
    out = console()
    out.print(f"{result.paragraph}\n")
    out.print(check_table(result))
    out.print(f"\n{check_note(result)}\n\n{trust(loaded)}")
    if output is not None:
        out.print(f"\n{output} written.")


def try_next(
    fit: Path,
    /,
    *,
    model: ModelFiles = None,
    seed: int = 0,
    rounds: int = 3,
    width: int = 3,
    replicates: int = 199,
    alpha: float = 0.05,
    time: str | None = None,
    chains: int = 4,
    warmup: int = 500,
    draws: int = 500,
    output: File = None,
    as_json: Json = False,
) -> None:
    """Fit the models that a check suggests, and say which predicts new annotators best.

    Args:
        fit: A fit that `bayespref fit` wrote.
        model: path.py:function of the fit's model, where the fit cannot say.
        seed: Seed of all that is random.
        rounds: Rounds of checking and fitting at most.
        width: Models fitted in a round at most.
        replicates: Tables of answers that a fit would expect, to compare with.
        alpha: Probability of saying "fails" about a model that is right.
        time: Column of the time of answers; "time" where that is there.
        chains: Independent chains of models fitted by nuts.
        warmup: Warm-up draws of such a chain.
        draws: Draws of such a chain.
        output: Where to write the fit to go on with (netCDF).
        as_json: Write JSON.
    """
    if output is not None:
        check_folder(output)
    import jax

    from bayespref import check as judge
    from bayespref import load, save
    from bayespref import try_next as search
    from bayespref.inference.trust import trust

    loaded = load(fit)
    found = model_of(loaded, model or [])
    settings = {"chains": chains, "warmup": warmup, "draws": draws}
    tell(f"checking {loaded.attrs['model']} and fitting what that suggests, seed {seed}; this takes minutes")
    check_key, key = jax.random.split(jax.random.key(seed))
    checked = judge(check_key, found, loaded, replicates=replicates, alpha=alpha, time=time)
    result = search(key, found, loaded, checked=checked, rounds=rounds, width=width, settings=settings)
    best = result.fits[result.best]
    if output is not None:
        best.attrs.setdefault(MODEL_SPEC, best.attrs["model"])
        best.attrs["seed"] = seed
        save(best, output)
    if as_json:
        table = result.table.reset_index(names="fit").to_dict("records")
        said = {"best": result.best, "conclusion": result.conclusion, "steps": list(result.steps)}
        said |= {"table": table, "verdict": result.checks[result.best].verdict}
        write_json({"fit": str(fit), **said, **trust_record(best)})
        return
    out = console()
    for step in result.steps:
        out.print(f"{step}\n")
    if len(result.table) > 1:
        out.print(comparison_table(result.table))
    out.print(f"\n{result.conclusion}\n\n{trust(best)}")
    if output is not None:
        out.print(f"\n{output} written.")


def _check_picture(output: Path) -> None:
    check_folder(output)
    if output.suffix not in PICTURES:
        raise ValueError(f"a picture is one of {', '.join(PICTURES)}; got {str(output)!r}.")
