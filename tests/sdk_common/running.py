"""What the tests of both releases of the SDK share: a running platform, a client that remembers what
was called, and how tests that are coroutines run."""

import asyncio
import contextlib
import inspect
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import threading
import uuid

from meshagent.api.client import Meshagent

STARTUP_SECONDS = 60

# What tells where a platform is, and who owns it.
TOLD = {"MESHAGENT_API_URL", "MESHAGENT_API_KEY", "MESHAGENT_PROJECT_ID"}

# The names of all client methods that any test called.
called = set()


class RecordingClient(Meshagent):
    """The SDK's client; it remembers which of its methods were called."""

    def __getattribute__(self, name):
        if not name.startswith("_") and callable(getattr(type(self), name, None)):
            called.add(name)
        return super().__getattribute__(name)


class Platform:
    """One `meshagent server` on a free port of this machine."""

    def __init__(self, data, *options, **environment):
        self.data = data
        self.process = subprocess.Popen(
            [
                os.environ["MESHAGENT_BIN"],
                "server",
                "--listen",
                "127.0.0.1:0",
                "--data",
                str(data),
                "--print-env",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            # None of the machine's engines runs containers of tests, but the one that is named.
            env={"CONTAINER_HOST": "unix:///nonexistent/engine.sock", **os.environ, **environment},
        )
        # A server that never gets ready ends the reading instead of the test run.
        watchdog = threading.Timer(STARTUP_SECONDS, self.process.kill)
        watchdog.start()
        self.environment = {}
        told = TOLD | ({"SMTP_HOSTNAME", "SMTP_PORT"} if "--smtp" in options else set())
        for line in self.process.stdout:
            words = shlex.split(line)
            assert words[0] == "export", line
            name, _, value = words[1].partition("=")
            self.environment[name] = value
            if told <= self.environment.keys():
                break
        else:
            raise RuntimeError(f"the server ended with {self.process.wait()}")
        watchdog.cancel()

    @property
    def url(self):
        return self.environment["MESHAGENT_API_URL"]

    @property
    def key(self):
        return self.environment["MESHAGENT_API_KEY"]

    def client(self, token=None):
        return RecordingClient(base_url=self.url, token=token or self.key)

    @contextlib.asynccontextmanager
    async def project(self):
        """A client of the owner, and the id of a project of its own."""
        async with self.client() as client:
            created = await client.create_project(f"project {uuid.uuid4()}")
            # 0.31 answers with a dictionary.
            yield client, created["id"] if isinstance(created, dict) else created.id

    @contextlib.asynccontextmanager
    async def room(self):
        """A client of the owner, a new project and a room in it."""
        async with self.project() as (client, project):
            yield client, project, await client.create_room(
                project_id=project, name="demo"
            )

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(*options, **environment):
    """A platform with data of its own, which ends in order."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(pathlib.Path(folder) / "data", *options, **environment)
        try:
            yield platform
        finally:
            code = platform.stop()
        assert code == 0, f"the server ends with {code} on SIGTERM"


def exercised(left_out, request):
    """Every method of the SDK's client was called, or is left out for a reason; none is both."""
    methods = {
        name
        for name, method in inspect.getmembers(Meshagent, inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "close"
    }
    assert left_out.keys() <= methods
    whole = not request.config.option.keyword and request.session.testsfailed == 0
    if whole and len({item.path for item in request.session.items}) > 1:
        assert methods - left_out.keys() - called == set()
        assert left_out.keys() & called == set()
    print(f"{len(methods - left_out.keys())} of {len(methods)} methods")


def pytest_pyfunc_call(pyfuncitem):
    """Runs tests that are coroutines, each in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    loop = asyncio.new_event_loop()
    try:
        test = asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=300)
        left = loop.run_until_complete(ended(test))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not left, f"these go on after the test, though they were cancelled: {left}"
    return True


async def ended(test):
    """Waits for a test, and cancels what it left; what goes on in spite of that holds up nobody."""
    try:
        await test
    finally:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        left = (await asyncio.wait(tasks, timeout=20))[1] if tasks else set()
    await asyncio.get_running_loop().shutdown_asyncgens()
    return left


def pytest_collection_modifyitems(items):
    """What was called is looked at after all calls."""
    items.sort(key=lambda item: item.path.name == "test_coverage.py")


if "MESHAGENT_BIN" not in os.environ:
    sys.exit("MESHAGENT_BIN must name the program under test")
# The machine's own settings must not reach a client.
for name in list(os.environ):
    if name.startswith("MESHAGENT_") and name != "MESHAGENT_BIN":
        del os.environ[name]
