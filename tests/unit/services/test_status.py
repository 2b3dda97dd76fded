"""The table of errors is whole, and unknown errors keep their words to themselves."""

import logging
from typing import get_args

import pytest

from contracts.errors import Code, ContractViolation, NotFound, WindsockError
from services.core.status import STATUS, describe


def _all(kind: type[WindsockError]) -> list[type[WindsockError]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in _all(sub))]


def test_every_code_and_every_error_has_a_status() -> None:
    assert set(STATUS) == set(get_args(Code))
    for kind in _all(WindsockError):
        assert kind.code in STATUS
    assert all(400 <= http < 600 for http, _ in STATUS.values())
    # gRPC has one code for a request that is too large and for a service that has too many, and one for both clocks.
    assert len({grpc for _, grpc in STATUS.values()}) == len(STATUS) - 2


def test_domain_errors_speak_for_themselves() -> None:
    assert describe(ContractViolation("`temp` must be warm")) == ("invalid_input", "`temp` must be warm")
    assert describe(NotFound("no"))[0] == "not_found"


@pytest.mark.parametrize("error", [ZeroDivisionError("secret path /etc"), WindsockError("secret")])
def test_unknown_errors_leave_an_id_and_their_trace_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        code, text = describe(error)
    assert code == "internal"
    assert "secret" not in text
    incident = text.split("id ")[1].split(";")[0]
    assert incident in caplog.text
    assert "secret" in caplog.text
