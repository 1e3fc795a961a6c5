"""Reading a declaration: once for each table, and no longer than either lives."""

import functools
import gc
import weakref

import numpy as np
import pytest
from helpers import answers

from bayespref.inference.program import choice_of, response_of, sites_of
from bayespref.inference.relabel import classes_of
from bayespref.models import bradley_terry, latent_class_bradley_terry


class Declared:
    """A model that is an object; with `hashed`, one that can be remembered."""

    def __init__(self, hashed: bool):
        self.runs, self.hashed = 0, hashed

    def __call__(self, comparisons):
        self.runs += 1
        return bradley_terry(comparisons)

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        if not self.hashed:
            raise TypeError("unhashable")
        return id(self)


@pytest.mark.parametrize("reads", [sites_of, choice_of, response_of, classes_of])
@pytest.mark.parametrize("hashed", [True, False], ids=["remembered", "without a hash"])
def test_a_declaration_is_read_once_for_each_table(reads, hashed):
    model, data = Declared(hashed), answers()
    first = reads(model, data)
    assert reads(model, data) == first and model.runs == (1 if hashed else 2)
    assert reads(model, data.replace(outcome=np.zeros_like(data.outcome))) == first
    assert model.runs == (2 if hashed else 3)


def test_options_are_told_apart():
    data = answers()
    two, three = (functools.partial(latent_class_bradley_terry, classes=k) for k in (2, 3))
    assert [classes_of(model, data)[0] for model in (two, three, two, bradley_terry)] == [2, 3, 2, 0]


def test_what_was_read_keeps_neither_table_nor_model():
    def read():
        data = answers()

        def model(comparisons):
            assert comparisons is data  # a declaration that closes over its table
            return bradley_terry(comparisons)

        sites_of(model, data)
        return weakref.ref(data), weakref.ref(model)

    gone = read()
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
