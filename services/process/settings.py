"""Settings of the service: `WINDSOCK_` variables and the options of `windsock serve`, checked before anything starts.

`launch` hands them to the worker through the same variables, so both see one set.
"""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import ParameterError

PREFIX: Final = "WINDSOCK_"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    store: Path = Field(Path("artifacts/store"), description="released models; `champion` in it names the one to serve")
    public_key: Path = Field(Path("secrets/signing.pub"), description="PEM of the key that must have signed the model")
    token_file: Path = Field(Path("secrets/token"), description="bearer token; made at first start")
    state: Path = Field(Path("state"), description="spool of the prediction log")
    database_url: str = Field("", description="SQLAlchemy URL; empty is SQLite in `state`")
    host: str = Field("127.0.0.1", description="IP address of REST and gRPC")
    rest_port: int = Field(3000, ge=1, le=65_535)
    grpc_port: int = Field(3001, ge=1, le=65_535)
    metrics_host: str = Field("127.0.0.1", description="IP address of the metrics; they need no token")
    metrics_port: int = Field(3002, ge=1, le=65_535)
    auth: bool = Field(True, description="ask for the token")
    drain_seconds: float = Field(
        0.5,
        ge=0,
        le=300,
        description="after SIGTERM: how long a service that says it is not ready still answers, before its doors close",
    )
    grpc_connection_seconds: float = Field(
        0,
        ge=0,
        le=86_400,
        description="after so long a gRPC client is asked to connect anew, so that it finds another pod; 0 is never",
    )
    flush_seconds: float = Field(
        20, ge=0, le=3_600, description="at the end: how long a database that is away is tried, before rows are left"
    )
    workers: int = Field(
        1, ge=1, le=64, description="processes that answer, about one a core; in a cluster one, and more replicas"
    )
    metrics_folder: Path | None = Field(
        None, description="set by `launch` for several workers: where their metrics meet"
    )
    lifeline: Path | None = Field(
        None, description="set by `launch`: the socket that ties workers and launcher together"
    )

    @field_validator("host", "metrics_host")
    @classmethod
    def _is_address(cls, value: str) -> str:
        ip_address(value)
        return value

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if len({self.rest_port, self.grpc_port, self.metrics_port}) != 3:
            raise ValueError("rest_port, grpc_port and metrics_port must differ")
        return self

    @model_validator(mode="after")
    def _connections_end_within_the_drain(self) -> Self:
        # gRPC adds up to a tenth, so that not all connections end at once
        if self.grpc_connection_seconds and self.drain_seconds <= 1.1 * self.grpc_connection_seconds:
            raise ValueError("drain_seconds must be more than 1.1 times grpc_connection_seconds, or that 0")
        return self

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.state.absolute() / 'predictions.db'}"

    def environment(self) -> dict[str, str]:
        """The settings as variables, with absolute paths: what the worker reads."""
        values = {
            name: str(value.absolute()) if isinstance(value, Path) else str(value)
            for name, value in self.model_dump(exclude_none=True).items()
        }
        return {f"{PREFIX}{name.upper()}": value for name, value in values.items()}


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` win over it.

    Raises:
        ParameterError: an unknown `WINDSOCK_` variable or a wrong value. Names every one of them.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ParameterError(
            f"`{'`, `'.join(unknown)}` must be one of {', '.join(sorted(known))}, got an unknown variable; unset it"
        )
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"  `{'.'.join(map(str, e['loc'])) or 'settings'}`: {e['msg']}, got {e['input']!r}" for e in error.errors()
        ]
        raise ParameterError(
            f"the settings of the service must be valid, got:\n{chr(10).join(lines)}\n"
            f"Correct the {PREFIX} variable or the option of that name."
        ) from error
