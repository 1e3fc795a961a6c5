"""Execute notebooks, each in its own folder and a fresh kernel, and fail on the first error in any of them.

python notebooks/execute.py [--write] [--side-by-side N] [NOTEBOOK ...]

Without names, every notebook beside this file is executed. Files stay as they are unless --write is given,
which stores the outputs of this run.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).resolve().parent
CELL_TIMEOUT = 1200  # seconds: ends a cell that hangs


def execute(path: Path, *, write: bool) -> str | None:
    """Execute one notebook; return what went wrong, or None."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",  # the interpreter that runs this script, whatever the file names
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    if write:
        # Nothing about the machine is stored: no interpreter version, no paths such as warnings carry.
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        text = nbformat.writes(notebook)
        for place in (str(HERE.parent), sys.prefix, "ipykernel_"):
            if place in text:
                return f"not written: it contains a path of this machine ({place})"
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return None


def main() -> None:
    """Read the arguments, execute, report."""
    parser = argparse.ArgumentParser(description="Execute notebooks; fail if one of them fails.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all beside this script")
    parser.add_argument("--write", action="store_true", help="store the outputs of this run in the files")
    parser.add_argument("--side-by-side", type=int, default=1, metavar="N", help="how many run at once")
    arguments = parser.parse_args()

    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # What tqdm says where ipywidgets are missing: nothing here draws progress bars.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    paths = [path.resolve() for path in arguments.notebooks] or sorted(HERE.glob("*.ipynb"))
    failed = []

    def report(path: Path) -> None:
        start = time.perf_counter()
        problem = execute(path, write=arguments.write)
        seconds = time.perf_counter() - start
        print(f"{path.name}: {'FAILED' if problem else 'ok'} ({seconds:.0f} s)", flush=True)
        if problem:
            print(problem, flush=True)
            failed.append(path.name)

    # The longest is among the last: it runs beside the others.
    with ThreadPoolExecutor(arguments.side_by_side) as pool:
        list(pool.map(report, reversed(paths)))
    if failed:
        sys.exit(f"{len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
