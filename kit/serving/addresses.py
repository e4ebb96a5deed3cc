"""Addresses that the HTTP service listens on."""

import errno
import ipaddress
import os
import socket

from kit.errors import SettingError


def is_loopback(host):
    """Tells whether a host is this machine and nothing else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host, port):
    """Returns a socket that is bound to host and port.

    Raises:
        SettingError: the host is unknown, or the port is in use or not for everybody.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise SettingError("host", f"{host[:80]!r} is no address of this machine; expected such as 127.0.0.1") from None
    listening = socket.socket(family, kind, number)
    try:
        if os.name == "posix":  # else the port of a server that has just ended would be taken for a while
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingError("port", f"{port} is in use on {host}; expected a free one, or 0 for any") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise SettingError("host", f"{host!r} is no address of this machine; expected such as 127.0.0.1") from None
        raise SettingError("port", f"{port} cannot be used ({error.strerror}); expected one from 1024") from None
    return listening
