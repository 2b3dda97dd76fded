"""Types of JSON members whose rules our own code checks, since its refusals name them better than a decoder's would.

What stands in `extra_json_schema` goes into the OpenAPI document and is not checked by msgspec; each type names the
check that it documents. tests/contract/service/test_openapi.py holds the document against the service.
"""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta

from services.core.request import MAX_ID_LENGTH, MAX_KEY_LENGTH, MAX_ROWS

# What `str.isprintable` takes, as a pattern of JSON Schema (ECMA 262): all categories but C and Z, and the space.
PRINTABLE: Final = r"^[ \p{L}\p{M}\p{N}\p{P}\p{S}]*$"
NO_NUL: Final = r"^[^\u0000]*$"  # `Model.check`
INSTANT: Final[dict[str, Any]] = {"format": "date-time", "examples": ["2013-07-01T12:00:00Z"]}
MANY: Final[dict[str, Any]] = {"minItems": 1, "maxItems": MAX_ROWS}  # `check_size`, and a check of its own for none
MAX_ROW: Final = 2**31 - 1  # of the log's column
_ID: Final[dict[str, Any]] = {"maxLength": MAX_ID_LENGTH, "pattern": PRINTABLE}  # `check_id`

RequestId = Annotated[
    str, Meta(description="key in the prediction log, printable characters", extra_json_schema=_ID | {"minLength": 1})
]
# Empty is as good as left out: clients of the Open Inference Protocol send either.
NewRequestId = Annotated[
    str,
    Meta(
        description="key in the prediction log, printable characters; the service makes one when it is empty",
        extra_json_schema=_ID,
    ),
]
RoutingKey = Annotated[
    str,
    Meta(
        description="the same key goes to the same model while several are tried; the id when it is empty",
        extra_json_schema={"maxLength": MAX_KEY_LENGTH},
    ),
]
EventTime = Annotated[
    datetime | None,
    Meta(description="the caller's clock; the time of arrival when null or left out", extra_json_schema=INSTANT),
]
OutcomeTime = Annotated[
    datetime | None, Meta(description="when the outcome was known; null: not told", extra_json_schema=INSTANT)
]
DeliveryTime = Annotated[
    datetime | None,
    Meta(description="the caller's clock at delivery; now when null or left out", extra_json_schema=INSTANT),
]
# JSON has one kind of number: 3.0 is as good as 3, and what some writers make of it.
RowIndex = Annotated[
    float,
    Meta(
        description="of the request's rows, from 0 on",
        extra_json_schema={"multipleOf": 1, "minimum": 0, "maximum": MAX_ROW},
    ),
]
