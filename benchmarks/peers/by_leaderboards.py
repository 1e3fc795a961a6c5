"""Leaderboards by arena-rank, choix and evalica: python by_leaderboards.py TABLE REPEATS

Run by leaderboard.py in the peers' environment. Prints one line of JSON for each run: the first of each tool
is with nothing compiled, the others in the same process.
"""

import json
import sys
import time

import choix
import evalica
import numpy as np
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset


def arena(table):
    """Ratings with sandwich intervals."""
    data = PairDataset.from_pandas(table)
    model = BradleyTerry(n_competitors=len(data.competitors))
    model.compute_ratings_and_cis(data, significance_level=0.05)


def choix_point(table):
    """Worths alone, by iterated Luce spectral ranking; the translation of names is not timed."""
    choix.ilsr_pairwise(table.attrs["size"], table.attrs["won"], alpha=1e-5)


def evalica_point(table):
    """Worths alone; the translation of outcomes is not timed."""
    evalica.bradley_terry(table["model_a"], table["model_b"], table.attrs["winners"])


def main():
    """Time each tool from a data frame."""
    table = pd.read_parquet(sys.argv[1])
    names, index = np.unique(np.concatenate([table["model_a"], table["model_b"]]), return_inverse=True)
    first, second = index.reshape(2, -1)
    left = (table["winner"] == "model_a").to_numpy()
    pairs = np.stack([np.where(left, first, second), np.where(left, second, first)], 1).tolist()
    winners = [evalica.Winner.X if one else evalica.Winner.Y for one in left]
    table.attrs.update(size=len(names), won=pairs, winners=winners)
    for tool, run in {"arena-rank": arena, "choix": choix_point, "evalica": evalica_point}.items():
        for repeat in range(int(sys.argv[2])):
            start = time.perf_counter()
            run(table)
            seconds = time.perf_counter() - start
            print(json.dumps({"tool": tool, "repeat": repeat, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
