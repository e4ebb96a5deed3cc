"""`kit serve`: finished runs behind HTTP, with a JSON API, OpenAPI and a page; see `kit.serving.app`."""

import asyncio
import contextlib
import logging
import re
import sys
import threading

from kit import terminal
from kit.config import flat, flatten, read_toml
from kit.errors import KitError, check
from kit.files import as_path
from kit.runs import finished
from kit.serving.addresses import bound, is_loopback
from kit.serving.limits import Limits

log = logging.getLogger("kit")


class Server:
    """Server of finished runs; it holds its port from the beginning, and says 503 until they are loaded.

    Args:
        folders: Run folders; of several seeds the best one is served.
        host: Host or address to listen on.
        port: Port; 0 takes a free one.
        settings: Settings of `predict` by name, for all of the runs.
        limits: `Limits`.
        on_ready: Function that is called with this server once the runs are loaded; or None.

    Attributes:
        url: Where it is reached.

    Raises:
        KitError: a folder holds no finished run, FastAPI is not installed, or the port cannot be used.
    """

    def __init__(self, folders, *, host="127.0.0.1", port=8000, settings=None, limits=None, on_ready=None):
        check(isinstance(port, int) and 0 <= port <= 65_535, "port", port, "a whole number from 0 to 65535")
        self.settings, self.limits, self.on_ready = settings or {}, limits or Limits(), on_ready
        if not folders:
            raise KitError("serve: no runs; expected run folders")
        for folder in folders:
            finished.check_settings(folder, "predict", flatten({"predict": self.settings}))
        self.folders = _named([as_path(folder, "folder") for folder in folders])
        service, uvicorn = _imported()
        self.service = service(self.limits, host)
        self.socket = bound(host, port)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what clients do wrong is in the metrics
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self.service.asgi,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(self.limits.timeout)),
            )
        )
        self._problem = None
        self._loader = threading.Thread(target=self._load, name="loader", daemon=True)
        self._thread = None

    def run(self):
        """Serves until it is stopped, by `stop` or by SIGINT or SIGTERM; requests in flight are answered before."""
        if not self._loader.ident:
            self._loader.start()
        try:
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again, once it has ended
                self._uvicorn.run(sockets=[self.socket])
        finally:
            self.socket.close()
            self._uvicorn.should_exit = True
            self._loader.join()
            self.service.close(self.limits.timeout)
        if self._problem is not None:
            raise self._problem

    def start(self):
        """Serves in a thread of its own; returns this server once the runs are loaded."""
        self._loader.start()
        self._thread = threading.Thread(target=self._run_aside, name="server", daemon=True)
        self._thread.start()
        self._loader.join()
        if self._problem is not None:
            self.stop()
        return self

    def stop(self):
        """Ends what `start` began, requests in flight answered."""
        self._uvicorn.should_exit = True
        self.join()

    def join(self):
        """Returns once it has ended what `start` began."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _run_aside(self):
        with contextlib.suppress(BaseException):  # `stop` raises it
            self.run()

    def _load(self):
        from kit.serving.served import ServedRun

        runs = {}
        try:
            for name, folder in self.folders.items():
                if self._uvicorn.should_exit:
                    return
                observe = self.service.observe_call(name)
                runs[name] = ServedRun(name, finished.load_one(folder), self.settings, self.limits, observe)
            self.service.open(runs)
            if self.on_ready and not self._uvicorn.should_exit:
                self.on_ready(self)
        except BaseException as problem:
            self._problem, self._uvicorn.should_exit = problem, True


@flat
def serve(runs, *, port=8000, host="127.0.0.1", limits: Limits = Limits(), settings=None, on_ready=None):
    """Serves finished runs over HTTP until it is stopped (Ctrl-C, SIGTERM): a JSON API, OpenAPI, and a page.

        kit.serve(run)                          # http://127.0.0.1:8000
        kit.serve(["runs/a", "runs/b"], port=0) # several at once, on a port that is free

    Args:
        runs: A `Run`, a run folder, or a list of such.
        port: Port; 0 takes a free one.
        host: Host or address to listen on; the default is reached from this machine alone. There is no password.
        limits: `kit.serving.limits.Limits`; its fields are keywords of this function, too.
        settings: Settings of the runs' `predict` by name, such as {"n_best": 3}, for all of the runs.
        on_ready: Function that is called with the `Server` once the runs are loaded; by default a line is printed.

    Returns:
        `Server`, ended; with its `url`.

    Raises:
        KitError: a folder holds no finished run, FastAPI is not installed, or the port cannot be used.
        SettingError: a value is out of range; the message names the key.
    """
    several = runs if isinstance(runs, list | tuple) else [runs]
    folders = [getattr(run, "folder", run) for run in several]
    server = Server(folders, host=host, port=port, settings=settings, limits=limits, on_ready=on_ready or _print_ready)
    if not is_loopback(host):
        said = f"kit: {terminal.printable(host)}: whoever reaches this address may use it; there is no password"
        print(said, file=sys.stderr, flush=True)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        server.run()
        return server
    server.start()  # a notebook has a loop of its own in this thread
    try:
        server.join()
    except KeyboardInterrupt:
        server.stop()
    return server


def _print_ready(server):
    print(f"serving {', '.join(server.folders)} at {server.url} (Ctrl-C ends it)", flush=True)


def _imported():
    """Returns the class `Service` and the module uvicorn."""
    try:
        import uvicorn

        from kit.serving.app import Service
    except ImportError as error:
        raise KitError(f'serve: {error.name or error} is not installed; pip install ".[serve]"') from None
    return Service, uvicorn


def _named(folders):
    """Returns run folders by a name for the address of each: of its recipe, or of the folder where that is not one."""
    recipes = [read_toml(folder / "config.toml")["recipe"] for folder in folders]
    named = {}
    for folder, recipe in zip(folders, recipes, strict=True):
        name = recipe if recipes.count(recipe) == 1 else re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name)
        unique, number = name, 2
        while unique in named or not unique.strip("."):
            unique, number = f"{name.strip('.')}-{number}", number + 1
        named[unique] = folder
    return named
