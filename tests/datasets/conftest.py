"""The web server on loopback, and the sealed environment, of the tests of weights."""

from tests.weights.conftest import sealed, server

__all__ = ["sealed", "server"]
