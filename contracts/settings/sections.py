"""Every setting, by section: its variable of the environment, its default, its rule, and what it says on the command
line. Relative paths are relative to `root`, the workspace's folder.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.workspace import Workspace

PREFIX: Final = "WINDSOCK_"
_HERE: Final = Workspace(Path())


def _check_address(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        raise ValueError("must be an IP address") from None
    return value


def _check_port(value: Any) -> int:
    if not str(value).isdecimal() or not 1 <= int(value) <= 65_535:
        raise ValueError("must be a port, 1 to 65535")
    return int(value)


def _check_duration(value: str) -> str:
    if value and not re.fullmatch(r"0|[0-9]+(\.[0-9]+)?[smh]", value):
        raise ValueError("must be a duration such as 90s, 30m or 1h, or 0")
    return value


def _check_url(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", value):
        raise ValueError("must be an address such as https://ops.example.org/windsock")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_check_address)]
Port = Annotated[int, BeforeValidator(_check_port)]
Url = Annotated[str, AfterValidator(_check_url)]
Duration = Annotated[str, AfterValidator(_check_duration)]  # "90s", "30m", "1h"; "0"


_EXTERNAL: Final = (
    "Address below which people open /prometheus, /alertmanager and /monitor, for the links of alerts; empty is none."
)


class Section(BaseSettings):
    """Base of the sections. Paths are absolute once they are read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    root: Path = Field(
        Path(), validation_alias=f"{PREFIX}ROOT", description="Folder of params.yaml, data/, artifacts/, reports/."
    )

    @field_validator("*")
    @classmethod
    def _resolve(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name == "root" and not value.is_dir():
            raise ValueError("must be a folder that exists")
        return (info.data.get("root", Path()) / value).absolute() if isinstance(value, Path) else value


class LogSettings(Section):
    """Where the prediction log is."""

    state: Path = Field(_HERE.state, description="Folder of the service's spool and of SQLite's prediction log.")
    database_url: str = Field("", description="SQLAlchemy URL of the prediction log; empty is SQLite in the state.")
    retention_days: int = Field(
        180,
        ge=1,
        le=36_500,
        description="Days that predictions and labels are kept: half a year.",
    )

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def database(self) -> str:
        """The URL in force; SQLite's file is absolute."""
        if relative := re.match(r"sqlite:///(?!/|file:|:memory:)(.+)", self.database_url):
            return f"sqlite:///{self.root / relative[1]}"
        return self.database_url or f"sqlite:///{self.state / 'predictions.db'}"


class StoreSettings(Section):
    """Where released models are."""

    store: Path = Field(_HERE.store, description="Released models; `champion` in it names the one to serve.")
    public_key: Path = Field(_HERE.public_key, description="PEM of the key that must have signed the model.")


class ServiceSettings(LogSettings, StoreSettings):
    """`windsock serve`. `launch` hands them to its workers through the same variables, so both see one set."""

    token_file: Path = Field(
        _HERE.token,
        description="Bearer token of this machine's clients; made at first start, not needed by the service.",
    )
    tokens_file: Path = Field(
        _HERE.tokens,
        description="Hashes, scopes and quotas of all tokens; read when it changes.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM chain for REST and gRPC, read again when it changes; none is plain text."
    )
    tls_key: Path | None = Field(None, description="PEM key of the certificate.")
    host: Address = Field("127.0.0.1", description="IP address of REST and gRPC.")
    rest_port: Port = Field(3000, description="Port of REST.")
    grpc_port: Port = Field(3001, description="Port of gRPC.")
    metrics_host: Address = Field("127.0.0.1", description="IP address of the metrics; they need no token.")
    metrics_port: Port = Field(3002, description="Port of the metrics for Prometheus.")
    auth: bool = Field(True, description="Whether a token is asked for; do without only in a network that you trust.")
    workers: int = Field(
        1, ge=1, le=64, description="Processes that answer, about one a core; in a cluster one, and more replicas."
    )
    drain_seconds: float = Field(
        0.5, ge=0, le=300, description="After SIGTERM: how long a service that is not ready any more still answers."
    )
    grpc_connection_seconds: float = Field(
        0,
        ge=0,
        le=86_400,
        description="After so long a gRPC client is asked to connect anew, so that it finds another pod; 0 is never.",
    )
    flush_seconds: float = Field(
        20, ge=0, le=3_600, description="At the end: how long an unreachable database is tried, before rows are left."
    )
    companion: bool = Field(
        True,
        description="Whether the companion, which moves the log, is started; in a cluster it is a container.",
    )
    spool_bytes: int = Field(
        512 * 2**20, ge=2**20, description="Most that may wait for the database; more is refused with 429."
    )
    spool_fsync: Literal["off", "interval", "each"] = Field(
        "off", description="When rows are forced to disk: never (they survive the process), each second, each answer."
    )
    max_rows_in_flight: int = Field(32_768, ge=1, description="Rows being answered; more are refused with 429.")
    max_bytes_in_flight: int = Field(
        64 * 2**20, ge=2**20, description="Bytes of bodies being read and answered; more are refused with 429."
    )
    batch_rows: int = Field(1_024, ge=1, description="Rows of small requests that are scored in one run, at most.")
    batch_delay_us: int = Field(
        0, ge=0, le=100_000, description="How long a small request waits for others, microseconds; 0 waits for nobody."
    )
    shadow_rows: int = Field(
        4_096, ge=0, description="Rows that may wait for the shadow; more are dropped and counted."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Lines of the service's own log: JSON, or text for people; auto is text on a terminal."
    )
    otlp_endpoint: str = Field("", description="OTLP/HTTP address that traces go to; empty makes none.")
    metrics_folder: Path | None = Field(
        None, description="Set by `launch` for several workers: their metrics meet here."
    )
    lifeline: int | None = Field(
        None, description="Set by `launch`: descriptor of the socket that ties a process to the launcher."
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if len({self.rest_port, self.grpc_port, self.metrics_port}) != 3:
            raise ValueError("rest_port, grpc_port and metrics_port must differ")
        return self

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key must be given together")
        return self

    @model_validator(mode="after")
    def _connections_end_within_the_drain(self) -> Self:
        # gRPC adds up to a tenth, so that not all connections end at once
        if self.grpc_connection_seconds and self.drain_seconds <= 1.1 * self.grpc_connection_seconds:
            raise ValueError("drain_seconds must be more than 1.1 times grpc_connection_seconds, or that 0")
        return self


class MonitorSettings(LogSettings, StoreSettings):
    """`windsock monitor` and what watches beside it."""

    metrics_url: str = Field("", description="Address of the service's metrics, for its error counts; empty is none.")
    probe_url: str = Field(
        "", description="Address of the service's REST as callers have it, to be asked again and again; empty is none."
    )
    probe_token_file: Path = Field(
        _HERE.probe_token, description="Token of scope probe, in the plain; read again at each question."
    )
    clock: Literal["arrival", "event"] = Field(
        "arrival",
        description="Which instant is a row's time for what is watched: its arrival; or, in a replay, the caller's.",
    )
    no_files: bool = Field(False, description="Write to the log's database alone, and nothing under reports/.")
    monitor_every: Duration = Field(
        "", description="How often the job runs: 90s, 30m, 1h; 0: others run it; empty: the objective."
    )
    metrics_host: Address = Field("127.0.0.1", description="IP address of page and gauges; they need no token.")
    monitor_port: Port = Field(3003, description="Port of page and gauges.")
    alerts_host: Address = Field("127.0.0.1", description="IP address of the receiver of alerts.")
    alerts_port: Port = Field(3004, description="Port of the receiver of alerts.")
    alerts_url: str = Field(
        "",
        description="Address of the receiver, for the monitor's page to say when no alarm can arrive; empty is none.",
    )
    external_url: Url = Field("", description=_EXTERNAL)
    watchdog_seconds: float = Field(
        300, ge=1, description="Without a Watchdog, which comes each minute, after which the receiver raises an alarm."
    )
    prometheus_port: Port = Field(9090, description="Port of Prometheus, on 127.0.0.1.")
    alertmanager_port: Port = Field(9093, description="Port of Alertmanager, on 127.0.0.1.")

    @property
    def every_seconds(self) -> float | None:
        """Between the begins of two runs; 0: never. None: as `monitor_every_hours` of the objectives says."""
        if not self.monitor_every:
            return None
        if self.monitor_every == "0":
            return 0.0
        return float(self.monitor_every[:-1]) * {"s": 1, "m": 60, "h": 3_600}[self.monitor_every[-1]]


class StackSettings(ServiceSettings, MonitorSettings):
    """All that runs beside each other on one machine."""


class ClusterSettings(Section):
    """The kind cluster. Its ports are those of 127.0.0.1, and the defaults are the NodePorts inside, too."""

    model_config = SettingsConfigDict(env_prefix="CLUSTER_")

    name: str = Field("windsock", description="Name of the kind cluster.")
    external_url: Url = Field("", validation_alias=f"{PREFIX}EXTERNAL_URL", description=_EXTERNAL)
    node_image: str = Field("", validation_alias="KIND_NODE_IMAGE", description="Image of the nodes; empty is kind's.")
    rest_port: Port = Field(30300, description="Exposed port of REST.")
    grpc_port: Port = Field(30301, description="Exposed port of gRPC.")
    monitor_port: Port = Field(30303, description="Exposed port of the monitor's page.")
    grafana_port: Port = Field(30330, description="Exposed port of Grafana.")
    prometheus_port: Port = Field(30390, description="Exposed port of Prometheus.")
    alertmanager_port: Port = Field(30393, description="Exposed port of Alertmanager.")

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,49}", value):
            raise ValueError("must be small letters, digits, `.` and `-`, 50 at most")
        return value

    @property
    def ports(self) -> dict[str, int]:
        """Name of an exposed port -> port of 127.0.0.1."""
        return {
            name.removesuffix("_port"): getattr(self, name)
            for name in type(self).model_fields
            if name.endswith("_port")
        }

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if len(set(self.ports.values())) != len(self.ports):
            raise ValueError(f"the ports of the cluster must differ, got {self.ports}")
        return self
