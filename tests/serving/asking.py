"""Asking a server: one request over a connection of its own, and several at a time."""

import contextlib
import dataclasses
import http.client
import io
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answer to a request: status, headers with names in lower case, and body."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self):
        """The one line that a refusal has."""
        (line,) = self.json.values()
        assert list(self.json) == ["error"] and "\n" not in line and "Traceback" not in line
        return line


def ask(server, path, content=None, kind=None, method=None, **headers):
    """Asks a server; `content` is JSON where it is no bytes.

    Args:
        server: `kit.serving.server.Server`.
        path: Path, sent as it is.
        content: What is posted, or None.
        kind: Its content type, by default that of JSON.
        method: By default GET, or POST with a content.
        headers: More headers; `_` stands for `-`.
    """
    if content is not None and not isinstance(content, bytes):
        content = json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content is not None:
        named["content-type"] = kind or "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with contextlib.closing(connection):
        connection.request(method or ("GET" if content is None else "POST"), path, content, named)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def ask_at_once(server, requests):
    """Returns the answers to requests that are sent at the same time, each the arguments of `ask`."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: ask(server, *request), requests))


def png(pixels):
    """Returns an image, uint8 (height, width, channels), as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def random_images(shape, count):
    """Returns uint8 images (count, height, width, channels)."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("uint8")


def form(files, fields=()):
    """Returns a form with files and fields, pairs of name and content, and its content type."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, content in files:
        parts.append(f'name="images"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'.encode() + content)
    for name, content in fields:
        parts.append(f'name="{name}"\r\n\r\n{content}'.encode())
    body = b"".join(f"--{boundary}\r\nContent-Disposition: form-data; ".encode() + part + b"\r\n" for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
