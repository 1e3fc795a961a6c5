"""Small published tables, typed in with their source, and how to read them."""

import numpy as np

from bayespref import Comparisons

# Stigler (1994), citations among statistics journals, as printed in Agresti (2002), p. 448.
CITATIONS = {
    ("Biometrika", "Comm Statist"): (730, 33),
    ("Biometrika", "JASA"): (498, 320),
    ("Biometrika", "JRSS-B"): (221, 284),
    ("Comm Statist", "JASA"): (68, 813),
    ("Comm Statist", "JRSS-B"): (17, 276),
    ("JASA", "JRSS-B"): (142, 325),
}
# Maximum likelihood, Biometrika = 0: Turner and Firth (2012), BradleyTerry2 vignette.
CITATIONS_FIT = {"Comm Statist": -2.9491, "JASA": -0.4796, "JRSS-B": 0.2690}

# Agresti (2002), p. 438: American League East, 1987; (home team, visitor): (home wins, home losses).
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = {
    "Milwaukee": "4-3 4-2 4-3 6-1 4-2 6-0",
    "Detroit": "3-3 4-2 4-3 6-0 6-1 4-3",
    "Toronto": "2-5 4-3 2-4 4-3 4-2 6-0",
    "New York": "3-3 5-1 2-5 4-3 4-2 6-1",
    "Boston": "5-1 2-5 3-3 4-2 5-2 6-0",
    "Cleveland": "2-5 3-3 3-4 4-3 4-2 2-4",
    "Baltimore": "2-5 1-5 1-6 2-4 1-6 3-4",
}
# Maximum likelihood with home advantage, Baltimore = 0: Turner and Firth (2012).
BASEBALL_FIT = {
    "Boston": (1.1438, 0.3378),
    "Cleveland": (0.7047, 0.3350),
    "Detroit": (1.4754, 0.3446),
    "Milwaukee": (1.6196, 0.3474),
    "New York": (1.2813, 0.3404),
    "Toronto": (1.3271, 0.3403),
}
HOME = (0.3023, 0.1309)

# Davidson (1970), chocolate puddings: (i, j): (i preferred, j preferred, ties).
PUDDING = {
    (1, 2): (19, 22, 16),
    (1, 3): (16, 19, 12),
    (2, 3): (19, 19, 10),
    (1, 4): (18, 23, 13),
    (2, 4): (23, 19, 9),
    (3, 4): (19, 20, 15),
    (1, 5): (13, 19, 18),
    (2, 5): (16, 20, 12),
    (3, 5): (16, 15, 17),
    (4, 5): (17, 14, 16),
    (1, 6): (18, 21, 12),
    (2, 6): (22, 20, 12),
    (3, 6): (13, 18, 10),
    (4, 6): (14, 19, 18),
    (5, 6): (11, 21, 12),
}
# Converged maximum likelihood, pudding 1 = 0 (Turner et al., 2020, PlackettLuce, stops early: 5e-4 off).
PUDDING_FIT = {
    "p2": (0.2202, 0.1872),
    "p3": (0.15298, 0.1935),
    "p4": (0.17514, 0.1882),
    "p5": (0.1339, 0.1927),
    "p6": (0.3771, 0.1924),
}
LOG_TIE = (-0.2919, 0.0825)

# Kousgaard (1984), sound fields heard through a flute: first preferred - ties - second preferred, by pairs of
# fields in the order of FIELDS, each against those after it.
FIELDS = ("111", "110", "101", "100", "011", "010", "001", "000")
FLUTE = {
    "111": "1-1-3 0-1-4 0-1-4 2-2-1 3-1-1 5-0-0 5-0-0",
    "110": "3-0-2 1-2-2 2-1-2 2-1-2 4-1-0 3-1-1",
    "101": "3-0-2 2-0-3 3-0-2 3-2-0 3-1-1",
    "100": "1-0-4 1-1-3 5-0-0 4-0-1",
    "011": "2-0-3 4-1-0 1-2-2",
    "010": "5-0-0 4-1-0",
    "001": "2-2-1",
}
# His table 3, maximum likelihood with Davidson's ties: half the log-worths, centred.
FLUTE_FIT = {
    "000": -0.581,
    "001": -1.039,
    "010": 0.347,
    "011": 0.205,
    "100": 0.276,
    "101": 0.347,
    "110": 0.311,
    "111": 0.135,
}


def counted(rows: list[tuple[int, int, int, int]], items) -> Comparisons:
    """Comparisons from (first, second, outcome, count) rows; rows that count nothing are left out."""
    rows_array = np.array([row for row in rows if row[3] > 0])
    return Comparisons.from_arrays(rows_array[:, :2], rows_array[:, 2], count=rows_array[:, 3], items=items)


def citations() -> Comparisons:
    items = ["Biometrika", "Comm Statist", "JASA", "JRSS-B"]
    rows = []
    for (a, b), (wins, losses) in CITATIONS.items():
        rows += [(items.index(a), items.index(b), 0, wins), (items.index(a), items.index(b), 1, losses)]
    return counted(rows, items)


def baseball() -> Comparisons:
    rows = []
    for home, results in BASEBALL.items():
        visitors = [team for team in TEAMS if team != home]
        for visitor, result in zip(visitors, results.split(), strict=True):
            wins, losses = map(int, result.split("-"))
            pair = TEAMS.index(home), TEAMS.index(visitor)
            rows += [(*pair, 0, wins), (*pair, 1, losses)]
    return counted(rows, TEAMS)


def flute() -> Comparisons:
    rows = []
    for first, results in FLUTE.items():
        place = FIELDS.index(first)
        for second, result in enumerate(results.split(), place + 1):
            wins, ties, losses = map(int, result.split("-"))
            rows += [(place, second, outcome, n) for outcome, n in ((0, wins), (1, losses), (2, ties))]
    return counted(rows, FIELDS)


def pudding() -> Comparisons:
    rows = [(i - 1, j - 1, k, n) for (i, j), counts in PUDDING.items() for k, n in enumerate(counts)]
    return counted(rows, [f"p{i}" for i in range(1, 7)])
