"""Guard of the HTTP service: who may ask, how much a request may hold, and what stands around every answer."""

import time

from fastapi.datastructures import Headers
from fastapi.responses import JSONResponse

from kit.serving.addresses import is_loopback

# What a browser is told of every answer: it shows and runs nothing but what the page itself holds.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
# Status that is counted where whoever asked has left; it is sent to nobody.
GONE = 499


class TooLarge(Exception):
    """A request holds more than it may."""


class Gone(Exception):
    """Client disconnected before its answer; raised where more of its request is received."""


def error(status, message, **headers):
    """Returns the answer to a request that is refused: one line, as JSON."""
    line = " ".join(str(message).split()).encode("utf-8", "backslashreplace").decode()  # halves of characters
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return JSONResponse({"error": line}, status, headers=named)


class Guard:
    """ASGI middleware around the whole service.

    A page of somebody else may let a browser ask this server (DNS rebinding, forms): requests to a loopback address
    have to name such a one as their host, and requests with an origin have to come from the server's own page.

    Args:
        app: The ASGI application.
        host: Host that it listens on.
        limit: Function from a path to the most bytes of a request to it.
        observe: Function `(path, status, seconds)` that is told of each answer.
    """

    def __init__(self, app, host, limit, observe):
        self.app, self.limit, self.observe = app, limit, observe
        self.only_loopback = is_loopback(host)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, is_over = time.perf_counter(), [500], False

        async def watched_receive():
            message = await receive()
            if message["type"] == "http.disconnect" and not is_over:
                status[0] = GONE
                raise Gone
            return message

        async def guarded_send(message):
            nonlocal is_over
            if message["type"] == "http.response.start":
                is_over = True
                status[0] = message["status"] if status[0] != GONE else GONE
                own = message.setdefault("headers", [])
                known = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(each for each in _HEADERS if each[0] not in known)]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, guarded_send)
            else:
                await self.app(scope, _counted(watched_receive, self.limit(scope["path"])), guarded_send)
        finally:
            self.observe(scope["path"], status[0], time.perf_counter() - started)

    def _refusal(self, scope):
        """Returns the answer to a request that may not pass, or None."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.only_loopback and not is_loopback(_name(host)):
            return error(421, f"host: {host[:80]!r} is not this machine; expected localhost or 127.0.0.1")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return error(403, f"origin: {origin[:80]!r} may not ask; expected the server's own page")
        length, most = headers.get("content-length"), self.limit(scope["path"])
        if length is not None and length.isdecimal() and int(length) > most:
            return too_large(most)
        return None


def too_large(most):
    """Returns the answer to a request of more bytes than it may have, the rest of which is not read."""
    return error(413, f"the request is too large; expected at most {most:,} bytes", connection="close")


def _name(host):
    """Returns the name in a Host header, without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _counted(receive, most):
    """Returns `receive` that raises TooLarge after so many bytes."""
    so_far = 0

    async def counted():
        nonlocal so_far
        message = await receive()
        so_far += len(message.get("body", b""))
        if so_far > most:
            raise TooLarge(most)
        return message

    return counted
