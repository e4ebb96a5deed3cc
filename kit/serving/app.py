"""The HTTP application: routes of the page, the runs, health and metrics, by FastAPI."""

import asyncio
import base64
import functools
import hashlib
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import StarletteHTTPException as HTTPException
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from kit.errors import KitError, closest
from kit.serving import requests
from kit.serving.batching import Full
from kit.serving.guard import GONE, Gone, Guard, TooLarge, error, too_large
from kit.serving.metrics import Metrics

log = logging.getLogger("kit")

_ANSWERS = {
    200: "A row an input, or a row of what was made, as `kit predict --json` prints them; pictures are data URLs.",
    400: "The body is damaged.",
    413: "The request is too large.",
    415: "The run takes no body of this kind.",
    422: "An input or a setting cannot be used; the line says which and what was expected.",
    503: "Too many requests wait, or the server is loading; see Retry-After.",
    504: "It took too long.",
}


class Service:
    """The served runs, and the application in front of them.

    Args:
        limits: `kit.serving.limits.Limits`.
        host: Host that it listens on.

    Attributes:
        asgi: The ASGI application.
        runs: Name to `ServedRun`; empty until all are loaded.
    """

    def __init__(self, limits, host):
        self.limits, self.metrics, self.runs, self.is_ready = limits, Metrics(), {}, False
        self._active = {}
        # Few: a large image takes hundreds of megabytes while it is decoded.
        self._readers = ThreadPoolExecutor(os.cpu_count(), "reader")
        self.app = FastAPI(
            title="kit serve",
            version="1",
            description='Finished runs of kit. Every mistake is answered with `{"error": "one line"}`.',
            docs_url=None,  # they would be fetched from elsewhere
            redoc_url=None,
            redirect_slashes=False,  # to the host that a request names
        )
        page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
        policy = _policy(page)

        @self.app.get("/", include_in_schema=False)
        async def front():
            return HTMLResponse(page, headers={"content-security-policy": policy})

        @self.app.get("/healthz", summary="Whether the runs are loaded (200) or not yet (503)")
        async def health():
            if not self.is_ready:
                return error(503, "the runs are being loaded; try again in a moment", retry_after=2)
            return JSONResponse({"status": "ok", "runs": list(self.runs)})

        @self.app.get("/metrics", summary="Metrics in Prometheus' text format", response_class=PlainTextResponse)
        async def metrics():
            waiting = {(("run", name),): len(run.batcher) for name, run in self.runs.items()}
            gauges = [("kit_waiting_requests", "Requests that wait for a call of the network.", waiting)]
            return PlainTextResponse(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

        @self.app.get("/runs", summary="The served runs: what they take, and the settings of a request")
        async def runs():
            return JSONResponse({"runs": [each.describe() for each in self.runs.values()], "limits": self._limits()})

        @self.app.exception_handler(HTTPException)
        async def refused(request, problem):
            if problem.status_code == 404:
                return error(404, self._unknown(request.url.path))
            return error(problem.status_code, problem.detail, **_header_names(problem.headers))

        @self.app.exception_handler(TooLarge)
        async def large(request, problem):
            return too_large(problem.args[0])

        self.asgi = Guard(self._when_ready, host, self._limit, self._observe)

    def open(self, runs):
        """Serves runs, a dictionary from name to `ServedRun`."""
        for name, served in runs.items():
            self._active[name] = 0
            self.app.add_api_route(
                f"/runs/{name}",
                functools.partial(_described, served),
                methods=["GET"],
                summary=f"What {name} takes, and the settings of a request",
                operation_id=f"describe_{name}",
            )
            self.app.add_api_route(
                f"/runs/{name}/predict",
                self._endpoint(served),
                methods=["POST"],
                summary=served.run.recipe.purpose,
                operation_id=f"predict_{name}",
                responses={status: {"description": meaning} for status, meaning in _ANSWERS.items()},
                openapi_extra={"requestBody": requests.described(served)},
            )
        self.app.openapi_schema = None
        self.runs, self.is_ready = runs, True

    def close(self, seconds):
        """Waits for what is in flight, at most so many seconds."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        for served in self.runs.values():
            served.batcher.close(seconds)

    def observe_call(self, name):
        """Returns the function that is told of each call of a run's network."""

        def observe(rows, seconds):
            self.metrics.observe("kit_batch_rows", rows, run=name)
            self.metrics.observe("kit_call_seconds", seconds, run=name)

        return observe

    def _endpoint(self, served):
        async def predict(request: Request):
            if self._active[served.name] >= self.limits.max_waiting + self.limits.batch_size:
                return self._busy("too many requests are in flight")  # not even its body is read
            self._active[served.name] += 1
            try:
                async with asyncio.timeout(self.limits.timeout):
                    return JSONResponse({"run": served.name} | await self._answer(served, request))
            except TimeoutError:
                return error(504, f"no answer within {self.limits.timeout:g} seconds")
            except Gone:
                return error(GONE, "whoever asked has left")  # which nobody reads
            except Full as problem:
                return self._busy(problem)
            except requests.Unsupported as problem:
                return error(415, problem)
            except KitError as problem:
                is_body = str(problem).startswith("body:")
                return error(400 if is_body else 422, str(problem).replace(f"{served.run.folder}", served.name))
            except (TooLarge, HTTPException):
                raise
            except Exception as problem:  # nobody outside is told what is inside
                log.error("%s: a request failed: %s", served.name, " ".join(repr(problem).split())[:300])
                return error(500, "the prediction failed; the log of the server says why")
            finally:
                self._active[served.name] -= 1

        return predict

    async def _answer(self, served, request):
        """Returns the answer to a request; its job is cancelled where it takes too long, or nobody waits for it.

        Raises:
            Gone: whoever asked has left.
        """
        content = await requests.read(request, served)
        answer, left = (asyncio.ensure_future(each) for each in (self._result(served, *content), _left(request)))
        try:
            await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Gone
            return answer.result()
        finally:
            answer.cancel()
            left.cancel()
            await asyncio.gather(answer, left, return_exceptions=True)  # its job is cancelled before the next one comes

    async def _result(self, served, inputs, asked, animation):
        loop = asyncio.get_running_loop()
        job = await loop.run_in_executor(self._readers, served.job, inputs, asked, animation)
        served.batcher.submit(job)
        return await asyncio.wrap_future(job.future)

    def _busy(self, problem):
        return error(503, problem, retry_after=1)

    def _limits(self):
        return {key: getattr(self.limits, key) for key in ("batch_size", "max_upload", "max_text", "timeout")}

    def _limit(self, path):
        served = self.runs.get(_run_of(path))
        takes_images = served is not None and served.takes == "images"
        return self.limits.upload_bytes if takes_images else self.limits.text_bytes

    def _observe(self, path, status, seconds):
        name = _run_of(path) if _run_of(path) in self.runs else ""
        self.metrics.count("kit_requests_total", run=name, status=status)
        self.metrics.observe("kit_request_seconds", seconds, run=name)
        if status >= 400:
            kinds = {413: "too large", GONE: "gone", 503: "busy", 504: "timeout"}
            kind = kinds.get(status, "input" if status < 500 else "failure")
            self.metrics.count("kit_errors_total", run=name, kind=kind)

    def _unknown(self, path):
        name = _run_of(path)
        if name and name not in self.runs:
            return f"{name[:80]!r}: no run of that name{closest(name[:80], self.runs)}"
        return (
            f"{path[:80]!r}: nothing there; expected /, /runs, /runs/NAME/predict, /openapi.json, /healthz or /metrics"
        )

    async def _when_ready(self, scope, receive, send):
        answer = self.app
        if not self.is_ready and scope["path"].startswith(("/runs", "/openapi.json")):
            answer = error(503, "the runs are being loaded; try again in a moment", retry_after=2)
        await answer(scope, receive, send)


async def _described(served):
    return JSONResponse(served.describe())


async def _left(request):
    """Raises Gone once whoever asked has left; the whole of the request was read before."""
    while True:
        await request.receive()


def _run_of(path):
    """Returns the name in a path of a run, or None."""
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "runs" and parts[2] else None


def _header_names(headers):
    return {name.replace("-", "_"): value for name, value in (headers or {}).items()}


def _policy(page):
    """Returns the content security policy of a page: nothing runs but the script that stands in it."""

    def sums(tag):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in found
        )

    return (
        f"default-src 'none'; script-src {sums('script')}; style-src {sums('style')}; img-src data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
