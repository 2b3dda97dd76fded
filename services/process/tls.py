"""TLS of both ports: one certificate, followed as it changes. A new one is for new connections; open ones go on."""

import logging
import ssl
from pathlib import Path
from typing import Any

import grpc
import uvicorn

from contracts.errors import ParameterError, Unavailable
from contracts.settings import ServiceSettings

logger = logging.getLogger(__name__)
Look = tuple[tuple[int, int, int], ...]


class Certificate:
    """A chain and its key, PEM.

    Raises:
        ParameterError: a file that cannot be read, or a key that is another certificate's.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key = chain, key
        self._seen = self._look()
        self._context, self._grpc = self._load()

    def reload(self) -> None:
        """Take a pair that has changed. One that does not fit is reported once; the certificate of before goes on."""
        look = self._look()
        if look == self._seen:
            return
        self._seen = look
        try:
            loaded = self._load()
        except ParameterError as error:
            logger.error("%s. The certificate of before goes on", error)
            return
        if self._look() != look:  # it changed while it was read: at the next look
            self._seen = ()
            return
        self._context, self._grpc = loaded
        logger.info("certificate: %s was read again", self._chain)

    def follow(self, context: ssl.SSLContext) -> None:
        """From now on each handshake of `context` takes the newest certificate."""

        def choose(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
            connection.context = self._context

        context.sni_callback = choose

    def for_grpc(self) -> grpc.ServerCredentials:
        """Credentials that take the newest certificate for each new connection."""
        given = self._grpc

        def newest() -> Any:
            nonlocal given
            if given is self._grpc:
                return None  # nothing new
            given = self._grpc
            return given

        return grpc.dynamic_ssl_server_credentials(given, newest)

    def _load(self) -> tuple[ssl.SSLContext, Any]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._chain, self._key, password="")  # else OpenSSL asks
            pair = (self._key.read_bytes(), self._chain.read_bytes())
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise ParameterError(
                f"`tls_certificate` and `tls_key` must be a PEM chain and its key without a password, "
                f"got {self._chain} and {self._key}: {error}; correct them"
            ) from error
        return context, grpc.ssl_server_certificate_configuration([pair])

    def _look(self) -> Look:
        """What changes with the files."""
        try:
            found = [path.stat() for path in (self._chain, self._key)]
        except OSError:
            return ((0, 0, 0),)
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


def read_certificate(settings: ServiceSettings) -> Certificate | None:
    """The certificate of the settings; None: the ports speak plain text.

    Raises:
        ParameterError: as `Certificate`.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key)


def follow_on_rest(certificate: Certificate, server: uvicorn.Server) -> None:
    """Have uvicorn's handshakes follow the certificate.

    Raises:
        Unavailable: REST was started without TLS.
    """
    context = server.config.ssl
    if context is None:
        raise Unavailable(
            "REST must speak TLS as gRPC does, got plain text; start it by `windsock serve`, or give `bentoml serve` "
            "--ssl-certfile and --ssl-keyfile"
        )
    certificate.follow(context)
