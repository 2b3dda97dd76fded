"""Who may ask the service for what: tokens that come and go while it runs, scopes, quotas."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

import cli
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, start, wait_until

LABELS = {"labels": [{"id": "a", "value": True}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    """A service whose plain token was there before, as in a workspace of an earlier version."""
    folder = tmp_path_factory.mktemp("access")
    (folder / "secrets").mkdir()
    (folder / "secrets/token").write_text("made-by-an-earlier-version\n")
    running = start(folder, artifact_store)
    yield running
    assert running.stop() == 0, running.log()


def tokens(server: Server, *arguments: str) -> str:
    """`windsock tokens`; what it printed."""
    path = server.token_file.with_name("tokens.json")
    done = CliRunner().invoke(cli.main, ["tokens", *arguments, "--tokens-file", str(path)])
    assert done.exit_code == 0, done.output
    return done.output.strip()


def predict(server: Server, token: str, count: int = 1) -> tuple[int, dict[str, str]]:
    status, _, headers = server.ask("/v1/predict", records(*rows(count)), token=token)
    return status, headers


def grpc_code(server: Server, token: str, method: str = "ServerMetadata") -> grpc.StatusCode:
    """How a call with this `authorization` ends."""
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        request = pb.ServerMetadataRequest() if method == "ServerMetadata" else pb.ModelInferRequest()
        try:
            getattr(stub, method)(request, metadata=[("authorization", token)])
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_the_token_of_an_earlier_version_goes_on_and_the_service_keeps_no_plain_one(server: Server) -> None:
    assert predict(server, server.token)[0] == 200
    known = server.token_file.with_name("tokens.json").read_text()
    assert '"default"' in known
    assert server.token not in known
    assert server.token not in server.log()


def test_tokens_come_and_go_within_a_second(server: Server) -> None:
    token = tokens(server, "add", "visitor", "--scope", "predict")
    started = time.monotonic()
    wait_until(lambda: predict(server, token)[0] == 200, "the new token", 5)
    assert time.monotonic() - started < 1.5
    assert "visitor  predict  no quota" in tokens(server, "list").splitlines()
    tokens(server, "remove", "visitor")
    started = time.monotonic()
    wait_until(lambda: predict(server, token)[0] == 401, "the end of the token", 5)
    assert time.monotonic() - started < 1.5
    assert predict(server, server.token)[0] == 200


def test_scopes_over_both_protocols(server: Server) -> None:
    feed = tokens(server, "add", "feed", "--scope", "label")
    desk = tokens(server, "add", "desk", "--scope", "predict")
    watch = tokens(server, "add", "watch", "--scope", "admin")
    wait_until(lambda: server.ask("/v2", token=watch)[0] == 200, "the new tokens", 5)

    def ask(token: str) -> list[int]:
        answers = [server.ask("/v1/labels", LABELS, token=token), server.ask("/v2", token=token)]
        return [predict(server, token)[0], *(answer[0] for answer in answers)]

    assert {name: ask(token) for name, token in (("feed", feed), ("desk", desk), ("watch", watch))} == {
        "feed": [403, 200, 403],
        "desk": [200, 403, 200],
        "watch": [403, 403, 200],
    }
    refused = server.ask("/v1/labels", LABELS, token=desk)[1].decode()
    assert "the token 'desk' must have scope label, got predict" in refused
    assert server.ask("/nowhere", token=feed)[0] == 404
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert [grpc_code(server, f"Bearer {token}") for token in (feed, desk, watch)] == [denied] + [
        grpc.StatusCode.OK
    ] * 2
    assert grpc_code(server, f"Bearer {watch}", "ModelInfer") == denied
    # As perf_analyzer sends it; the empty message is refused for what it lacks, and not for its token.
    assert grpc_code(server, f" Bearer {desk}", "ModelInfer") == grpc.StatusCode.NOT_FOUND


def test_a_quota_refuses_with_the_time_to_wait(server: Server) -> None:
    token = tokens(server, "add", "bulk", "--scope", "predict", "--rows-per-second", "10")
    wait_until(lambda: predict(server, token)[0] == 200, "the new token", 5)
    assert predict(server, token, 25)[0] == 200
    status, headers = predict(server, token)
    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 2
    assert predict(server, server.token)[0] == 200
    time.sleep(int(headers["retry-after"]))
    assert predict(server, token)[0] == 200


def test_a_damaged_file_changes_nothing(server: Server) -> None:
    path = server.token_file.with_name("tokens.json")
    content = path.read_bytes()
    path.write_text("{")
    wait_until(lambda: "The tokens of before count on" in server.log(), "the report", 5)
    time.sleep(1.2)
    assert predict(server, server.token)[0] == 200
    assert server.log().count("The tokens of before count on") == 1
    path.write_bytes(content)


def test_the_service_needs_no_plain_token(tmp_path: Path, artifact_store: Store) -> None:
    known = tmp_path / "hashes.json"
    token = CliRunner().invoke(cli.main, ["tokens", "add", "a", "--scope", "predict", "--tokens-file", str(known)])
    server = start(tmp_path, artifact_store, tokens_file=known)
    assert predict(server, token.output.strip())[0] == 200
    assert server.stop() == 0
    assert not server.token_file.exists()
