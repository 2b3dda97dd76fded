import subprocess
import sys

from demo.observers import MemorySampler
from deploy.local.processes import wait_until


def test_peak_holds_what_a_child_took() -> None:
    hold = "b = bytearray(80_000_000); b[::4096] = b[::4096]; print('held', flush=True); input()"
    with MemorySampler() as sampler:
        before = sampler.memory().peak_bytes or sampler._now()
        with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            held = sampler._now()
            wait_until(lambda: sampler.memory().peak_bytes >= before + 70_000_000, 20, every=0.02)
            child.stdin.write(b"\n")
            child.stdin.close()
    assert held - before > 70_000_000
    assert sampler.memory().peak_bytes >= before + 70_000_000
    assert sampler.memory().samples >= 1
