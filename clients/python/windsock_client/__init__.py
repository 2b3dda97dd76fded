"""A typed client of Windsock's REST service, synchronous and asynchronous."""

from windsock_client.client import AsyncClient, Client
from windsock_client.errors import Busy, ClientError, Failed, Refused, Unreachable
from windsock_client.exchange import Retry
from windsock_client.types import Label, Prediction, Row

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "ClientError",
    "Failed",
    "Label",
    "Prediction",
    "Refused",
    "Retry",
    "Row",
    "Unreachable",
]
