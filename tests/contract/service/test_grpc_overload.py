"""Over gRPC: what is more than the service takes on is refused at once, and what nobody waits for is not scored."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from monitoring.metrics.declared import Metrics
from services.core.admission import Budget
from services.core.auth import Guard
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from services.grpc.calls import MAX_WAITING
from services.grpc.edge import Edge
from services.grpc.infer import Infer
from services.grpc.server import THREADS
from tasks.flights.schema import SCHEMA
from tests.contract.service.test_overload import memory
from tests.e2e.process.test_life import scrape
from tests.support.payloads import proto, rows
from tests.support.serving import Server, Store, start, wait_until

Code = grpc.StatusCode
INFER = "/inference.GRPCInferenceService/ModelInfer"
ROW = proto(*rows(1))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    """A service that nobody else asks, with narrow bounds."""
    bounds: dict[str, Any] = {"max_rows_in_flight": 1_024, "companion": False}
    running = start(tmp_path_factory.mktemp("grpc"), artifact_store, **bounds)
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def channel(own: Server) -> Iterator[grpc.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(own.grpc, options) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated


def token(server: Server) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {server.token}")]


def counted(server: Server) -> tuple[float, float, float]:
    """Scored rows, and calls that were answered and that came too late."""
    found = scrape(server)
    codes = ("ok", "deadline_exceeded")
    ok, late = (found[f'windsock_requests_total{{"code": "{code}", "protocol": "grpc"}}'] for code in codes)
    return found['windsock_scored_rows_total{"role": "champion"}'], ok, late


@contextmanager
def all_threads_busy(server: Server, channel: grpc.Channel) -> Iterator[None]:
    """As long as the block runs, each thread for predictions waits for a message."""
    go = threading.Event()
    call: Any = channel.stream_unary(INFER, request_serializer=pb.ModelInferRequest.SerializeToString)

    def messages() -> Iterator[pb.ModelInferRequest]:
        go.wait(9)
        yield ROW

    held = [call.future(messages(), metadata=token(server), timeout=30) for _ in range(THREADS)]
    wait_until(
        lambda: scrape(server)['windsock_in_flight_requests{"protocol": "grpc"}'] == THREADS, "every thread held", 5
    )
    try:
        yield
    finally:
        go.set()
    for one in held:
        one.result()


def test_calls_whose_time_is_over_are_not_scored(own: Server, channel: grpc.Channel, stub: Any) -> None:
    scored, ok, late = counted(own)
    with all_threads_busy(own, channel):
        waiting = [stub.ModelInfer.future(ROW, metadata=token(own), timeout=0.3) for _ in range(10)]
        gone = [stub.ModelInfer.future(ROW, metadata=token(own), timeout=30) for _ in range(10)]
        assert [one.code() for one in waiting] == [Code.DEADLINE_EXCEEDED] * 10
        for one in gone:
            one.cancel()
        time.sleep(0.2)
    wait_until(lambda: counted(own)[2] == late + 20, "the end of what waited", 5)
    assert counted(own) == (scored + THREADS, ok + THREADS, late + 20)


class Call:
    """As much of a call's context as is looked at: each look at its time finds the next of `times`."""

    def __init__(self, times: list[float], *, active: bool = True) -> None:
        self._times, self._active = iter(times), active
        self.ended: tuple[grpc.StatusCode, str] | None = None

    def time_remaining(self) -> float:
        return next(self._times)

    def is_active(self) -> bool:
        return self._active

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.ended = code, details
        raise grpc.RpcError


@pytest.mark.parametrize(
    ("call", "read"),
    [
        (Call([0.0]), False),  # while it waited for a thread: its message is not even read
        (Call([1.0, 0.0]), True),  # while its message was read and decoded
        (Call([1.0], active=False), False),
    ],
)
def test_a_call_whose_time_ends_before_it_is_scored_is_refused(call: Call, read: bool) -> None:
    scored: list[object] = []
    model = SimpleNamespace(name="flight-delay", schema=SCHEMA, predict=scored.append)
    model.roles = SimpleNamespace(champion=model)
    infer = Infer(model, Edge(Guard(None)), Metrics(SCHEMA), Budget("bytes", 2**20), None)  # type: ignore[arg-type] # played
    messages = iter([ROW.SerializeToString()])
    with pytest.raises(grpc.RpcError):
        infer(messages, call)  # type: ignore[arg-type] # as above
    assert call.ended is not None
    assert call.ended[0] is Code.DEADLINE_EXCEEDED
    assert "answered before its deadline" in call.ended[1]
    assert not scored
    assert len(list(messages)) == (0 if read else 1)


def test_no_more_calls_wait_than_may_and_health_does_not_wait(own: Server, channel: grpc.Channel, stub: Any) -> None:
    with all_threads_busy(own, channel):
        waiting = [stub.ModelInfer.future(ROW, metadata=token(own), timeout=30) for _ in range(MAX_WAITING)]
        refused = 0
        for _ in range(200):  # until the last of them has come
            started = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                stub.ModelInfer(ROW, metadata=token(own), timeout=0.2)
            error: Any = caught.value
            if error.code() is Code.RESOURCE_EXHAUSTED:
                refused += 1
                assert f"at most {MAX_WAITING} calls may wait" in error.details()
                assert time.monotonic() - started < 0.2
                break
        assert refused
        started = time.monotonic()
        assert stub.ServerReady(pb.ServerReadyRequest(), timeout=5).ready
        assert stub.ModelMetadata(pb.ModelMetadataRequest(name="flight-delay"), metadata=token(own), timeout=5).name
        assert time.monotonic() - started < 0.5  # on a busy machine; two calls
    assert all(one.result().raw_output_contents for one in waiting)


def test_rows_beyond_the_bound_are_refused_and_those_within_are_answered(own: Server, stub: Any) -> None:
    within = proto(*rows(1_024))
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(proto(*rows(1_025)), metadata=token(own))
    error: Any = caught.value
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert "at most 1024 rows may be in flight" in error.details()
    assert stub.ModelInfer(within, metadata=token(own)).outputs[0].shape == [1_024]


@pytest.mark.parametrize("mib", [15.9, 3.9])
def test_memory_stays_bounded(own: Server, mib: float) -> None:
    """64 clients send 16 MiB each, which is refused; or as much as is read, of which as many are held as are read."""
    message = proto(*rows(1))
    message.raw_input_contents[1] = bytes(int(mib * 2**20))
    content = message.SerializeToString()
    peak = memory(own)
    start_memory = peak
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.01):
            peak = max(peak, memory(own))

    def send(_: int) -> grpc.StatusCode:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(own.grpc, options) as channel:
            call: Any = channel.unary_unary(INFER)
            with pytest.raises(grpc.RpcError) as caught:
                call(content, metadata=token(own), timeout=60)
            error: Any = caught.value
            code: grpc.StatusCode = error.code()
            return code

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(64) as pool:
        codes = set(pool.map(send, range(128)))
    ended.set()
    watcher.join()
    assert codes == {Code.RESOURCE_EXHAUSTED if mib > 4 else Code.INVALID_ARGUMENT}
    assert peak - start_memory < (96 if mib > 4 else 384)
