"""The ports that a service takes: bound, or asked for before anything starts."""

import socket

from contracts.errors import Unavailable


def bind(name: str, host: str, port: int, choice: str, *, shared: bool = False) -> socket.socket:
    """A TCP socket at this address; it does not listen yet.

    Args:
        name: of the setting, as its user knows it.
        choice: option or variable that names another port.
        shared: with other shared sockets; the kernel spreads connections over those that listen.

    Raises:
        Unavailable: something listens there, or the address is not of this machine.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"`{name}` must be a free port of {host}, got {port}: {error.strerror}; "
            f"stop what uses it or choose another with {choice}"
        ) from error
    return bound


def check_free(name: str, host: str, port: int, choice: str) -> None:
    """Refuse a port that cannot be listened on; `bind` describes the arguments.

    Raises:
        Unavailable: as `bind`.
    """
    bind(name, host, port, choice).close()
