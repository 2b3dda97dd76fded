"""The worked example of how tensors become a model's inputs is true."""

import doctest

from services.wire import tensors


def test_the_example_of_assemble_is_what_it_does() -> None:
    done = doctest.testmod(tensors, raise_on_error=False)
    assert (done.failed, done.attempted) == (0, 4)
