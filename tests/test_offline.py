"""The guard of conftest.py works."""

import socket
import urllib.request

import pytest

from tests.conftest import LeftTheMachine


def test_name_of_another_host_is_not_looked_up() -> None:
    with pytest.raises(LeftTheMachine, match=r"example\.org"):
        urllib.request.urlopen("http://example.org", timeout=1)


def test_address_of_another_host_is_not_connected_to() -> None:
    with socket.socket() as connection, pytest.raises(LeftTheMachine, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))


def test_loopback_is_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        assert connection.getpeername() == server.getsockname()
