"""The mutations, which only `make test-all` runs, still fit the product."""
import importlib.util

import pytest

from harness.system import ROOT

spec = importlib.util.spec_from_file_location("mutations", ROOT / "test" / "mutations.py")
mutations = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutations)


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: mutation[0])
def test_it_changes_a_file_of_the_product(mutation):
    assert mutation[1].startswith("gateway/")
    assert mutations.mutated(mutation) != (ROOT / mutation[1]).read_text()


def test_no_mutation_stands_twice():
    descriptions = [mutation[0] for mutation in mutations.MUTATIONS]
    assert len(set(descriptions)) == len(descriptions)
