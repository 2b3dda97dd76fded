"""What ties a process to the one that started it: each holds an end of a socket, and sees the other's end close."""

import contextlib
import os
import signal
import socket
import threading


class Lifeline:
    """The end of a process that was started: it ends with its starter, however that ends.

    Args:
        descriptor: of the socket; None: whoever started this process does not watch over it, and nothing happens.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._socket = None if descriptor is None else socket.socket(fileno=descriptor)

    def say_ready(self) -> None:
        """Tell the starter that this process does its work from now on. One that has gone is noticed by `watch`."""
        if self._socket is not None:
            with contextlib.suppress(BrokenPipeError):
                self._socket.sendall(b"ready\n")

    def watch(self) -> None:
        """Send this process SIGTERM when its starter has gone."""
        if self._socket is not None:
            self._socket.set_inheritable(False)
            threading.Thread(target=self._wait, args=(self._socket,), name="lifeline", daemon=True).start()

    @staticmethod
    def _wait(end: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a reset, when the starter went without having read what this one said
            end.recv(1)  # the starter sends nothing: this returns when it has gone
        os.kill(os.getpid(), signal.SIGTERM)
