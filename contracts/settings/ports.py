"""Whether a port can be taken, asked before anything starts."""

import socket

from contracts.errors import Unavailable


def check_free(name: str, host: str, port: int, choice: str) -> None:
    """Refuse a port that cannot be listened on.

    Args:
        name: of the setting, as its user knows it.
        choice: option or variable that names another port.

    Raises:
        Unavailable: something listens there, or the address is not of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"`{name}` must be a free port of {host}, got {port}: {error.strerror}; "
                f"stop what uses it or choose another with {choice}"
            ) from error
