"""TLS on both ports, with a certificate that changes while the service answers."""

import datetime
import http.client
import ipaddress
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from contracts.files import write_atomic
from contracts.settings import ServiceSettings, clean_environment, load, to_environment
from deploy.local import processes
from deploy.local.processes import Program, answers
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server, Store, free_ports, start, wait_until

HERE = "127.0.0.1"


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        self.chain, self.key, self.ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"
        own = _builder(self._name, self._name, self._key)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self) -> tuple[bytes, bytes, int]:
        """A new certificate, its key, its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))])
        made = _builder(_name("windsock"), self._name, key).add_extension(address, critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return signed.public_bytes(Encoding.PEM), plain, signed.serial_number

    def place(self) -> int:
        """Put a new one where the service looks. Returns its serial number."""
        chain, key, serial = self.issue()
        write_atomic(self.chain, chain)
        write_atomic(self.key, key, mode=0o600)
        return serial


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    return made.not_valid_after(now + datetime.timedelta(days=1))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store, authority: Authority) -> Iterator[Server]:
    authority.place()
    running = start(
        tmp_path_factory.mktemp("tls"),
        artifact_store,
        tls_certificate=authority.chain,
        tls_key=authority.key,
        ca=authority.ca,
    )
    yield running
    assert running.stop() == 0, running.log()


def serial(address: str) -> int:
    """Of the certificate that a new connection is shown."""
    host, port = address.removeprefix("https://").split(":")
    return x509.load_pem_x509_certificate(
        ssl.get_server_certificate((host, int(port)), timeout=5).encode()
    ).serial_number


@contextmanager
def channel(server: Server, authority: Authority) -> Iterator[grpc.Channel]:
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    with grpc.secure_channel(server.grpc, credentials, [("grpc.use_local_subchannel_pool", 1)]) as opened:
        yield opened


def infer(server: Server, opened: grpc.Channel) -> bool:
    stub = pb_grpc.GRPCInferenceServiceStub(opened)  # type: ignore[no-untyped-call] # generated
    answer = stub.ModelInfer(proto(*rows(1)), metadata=[("authorization", f"Bearer {server.token}")], timeout=10)
    return isinstance(answer, pb.ModelInferResponse)


def test_both_ports_speak_tls_alone(server: Server, authority: Authority) -> None:
    assert server.ask("/v1/predict", records(*rows(1)))[0] == 200
    with channel(server, authority) as opened:
        assert infer(server, opened)
    with grpc.insecure_channel(server.grpc) as opened, pytest.raises(grpc.RpcError):
        infer(server, opened)
    plain = http.client.HTTPConnection(HERE, int(server.rest.rpartition(":")[2]), timeout=5)
    plain.request("GET", "/v2/health/live")
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()
    plain.close()
    assert answers(f"{server.rest}/v2/health/ready")  # what `windsock stack` waits for
    assert "https://127.0.0.1" in server.ask("/docs", token=None)[1].decode()
    assert f"REST {server.rest}" in server.log()


def test_a_new_certificate_is_presented_within_two_seconds_and_fails_no_request(
    server: Server, authority: Authority
) -> None:
    ended, answered = threading.Event(), dict.fromkeys(("kept", "new", "grpc", "grpc new"), 0)
    faults: list[str] = []
    body = records(*rows(1))
    kept = http.client.HTTPSConnection(HERE, int(server.rest.rpartition(":")[2]), context=server.context)
    headers = {"Authorization": f"Bearer {server.token}"}

    def on_kept() -> bool:
        kept.request("GET", "/v2", headers=headers)
        reply = kept.getresponse()
        reply.read()
        return reply.status == 200

    def on_new_channel() -> bool:
        with channel(server, authority) as opened:
            return infer(server, opened)

    def load(name: str, ask: Callable[[], bool]) -> None:
        while not ended.is_set():
            try:
                assert ask()
                answered[name] += 1
            except Exception as error:  # noqa: BLE001 - any fault is what this looks for
                faults.append(f"{name}: {error!r}")

    with channel(server, authority) as opened:
        asks = (
            on_kept,
            lambda: server.ask("/v1/predict", body)[0] == 200,
            lambda: infer(server, opened),
            on_new_channel,
        )
        threads = [threading.Thread(target=load, args=pair) for pair in zip(answered, asks, strict=True)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            wanted = authority.place()
            began = time.monotonic()
            for address in (server.rest, server.grpc):
                wait_until(lambda address=address, wanted=wanted: serial(address) == wanted, "the new certificate", 5)  # type: ignore[misc] # mypy cannot infer a lambda's defaults
            assert time.monotonic() - began < 2
        ended.set()
        for thread in threads:
            thread.join()
    kept.close()
    assert faults == []
    assert min(answered.values()) >= 10, answered


def test_a_pair_that_does_not_fit_leaves_the_certificate_of_before(server: Server, authority: Authority) -> None:
    """As between the renewal of the two files. The second one ends it."""
    before = serial(server.rest)
    chain, key, wanted = authority.issue()
    write_atomic(authority.chain, chain)
    wait_until(lambda: "The certificate of before goes on" in server.log(), "the report", 5)
    time.sleep(1.2)
    assert server.log().count("The certificate of before goes on") == 1
    assert (serial(server.rest), serial(server.grpc)) == (before, before)
    write_atomic(authority.key, key)
    for address in (server.rest, server.grpc):
        wait_until(lambda address=address: serial(address) == wanted, "the new certificate", 5)  # type: ignore[misc] # as above


@pytest.mark.parametrize("case", ["none", "another key", "alone"])
def test_refused_start(tmp_path: Path, artifact_store: Store, case: str) -> None:
    authority = Authority(tmp_path)
    authority.place()
    if case == "none":
        authority.chain.unlink()
    if case == "another key":
        authority.key.write_bytes(authority.issue()[1])
    files: dict[str, object] = {"tls_certificate": authority.chain}
    if case != "alone":
        files["tls_key"] = authority.key
    server = start(tmp_path, artifact_store, wait=False, **files)
    assert server.process.wait(timeout=60) == 1
    wanted = "must be given together" if case == "alone" else "must be a PEM chain and its key"
    assert wanted in server.log()
    assert "Traceback" not in server.log()


def test_bentoml_serve_by_hand_does_not_serve_plain_text_by_mistake(
    tmp_path: Path, artifact_store: Store, server: Server
) -> None:
    """The settings ask for TLS, the command line forgot it: it does not start."""
    authority = Authority(tmp_path)
    authority.place()
    rest, grpc_port, metrics = free_ports(3)
    settings = load(
        ServiceSettings, root=tmp_path, store=artifact_store.store, public_key=artifact_store.public_key,
        tokens_file=server.token_file.with_name("tokens.json"), tls_certificate=authority.chain, tls_key=authority.key,
        rest_port=rest, grpc_port=grpc_port, metrics_port=metrics,
    )  # fmt: skip
    (tmp_path / "state/spool").mkdir(parents=True)
    root = Path(__file__).parents[3]
    environment = clean_environment() | to_environment(settings) | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-m", "bentoml", "serve", "--quiet", "services.process.bento:Windsock"]
    command += ["--working-dir", str(root), "--host", HERE, "--port", str(rest)]
    log = tmp_path / "bentoml.log"
    process = processes.start(Program("bentoml", command, rest, "/", environment), root, log)
    try:
        wanted = "REST must speak TLS as gRPC does, got plain text"
        wait_until(lambda: wanted in log.read_text() or process.poll() is not None, "the refusal", 60)
        assert wanted in log.read_text()
        assert not answers(f"http://{HERE}:{rest}/v2/health/ready")
    finally:
        processes.stop("bentoml", process)
