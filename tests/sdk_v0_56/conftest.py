"""A running platform, and clients of the public SDK 0.56 that point at it."""

import asyncio
import contextlib
import inspect
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import uuid

import pytest
from meshagent.api.client import Meshagent

STARTUP_SECONDS = 60

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

    def __init__(self, data, *options):
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
        )
        # A server that never gets ready ends the reading instead of the test run.
        watchdog = threading.Timer(STARTUP_SECONDS, self.process.kill)
        watchdog.start()
        self.environment = {}
        for line in self.process.stdout:
            words = shlex.split(line)
            assert words[0] == "export", line
            name, _, value = words[1].partition("=")
            self.environment[name] = value
            if {
                "MESHAGENT_API_URL",
                "MESHAGENT_API_KEY",
                "MESHAGENT_PROJECT_ID",
            } <= self.environment.keys():
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
            yield client, created.id

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


@pytest.fixture(scope="session")
def platform():
    with tempfile.TemporaryDirectory() as folder:
        running = Platform(pathlib.Path(folder) / "data")
        try:
            yield running
        finally:
            code = running.stop()
        assert code == 0, f"the server ends with {code} on SIGTERM"


def old(platform, method, path, body=None, headers={}):
    """A request as a client of 0.31 makes it: its status and its JSON."""
    request = urllib.request.Request(
        platform.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {platform.key}", **headers},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


# Starting the command line takes seconds, so one process imports it, makes its parser, and forks for
# each command.
REFERENCE = """
import functools, gc, json, os, sys, typer.main
from meshagent.cli.cli import app
typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(app)
gc.freeze()
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, path in enumerate(["/dev/null", asked["output"], asked["output"]]):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
        os.chdir(asked["folder"])
        os.environ.update(asked["environment"])
        sys.argv = ["meshagent", *asked["words"]]
        try:
            code = app()
        except SystemExit as end:
            code = end.code
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush()
        os._exit(code or 0)
    _, status = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
"""


class CommandLine:
    """The command line of the public package, for one project of a platform."""

    def __init__(self, process, platform, project, home):
        self.process = process
        self.environment = {
            "HOME": str(home),
            "COLUMNS": "400",
            "MESHAGENT_API_URL": platform.url,
            "MESHAGENT_API_KEY": platform.key,
            "MESHAGENT_PROJECT_ID": project,
        }
        self.home = home

    def run(self, *words, code=0):
        """Runs a command in the folder of its home, and returns what it prints."""
        output = pathlib.Path(self.home) / "output"
        output.unlink(missing_ok=True)
        asked = {
            "words": words,
            "folder": str(self.home),
            "output": str(output),
            "environment": self.environment,
        }
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        ended = json.loads(self.process.stdout.readline())
        told = output.read_text()
        assert ended == code, (words, ended, told)
        return told

    def file(self, name, text):
        """Writes a file that a command may name."""
        (pathlib.Path(self.home) / name).write_text(text)
        return name


@pytest.fixture(scope="session")
def reference():
    with tempfile.TemporaryDirectory() as home:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", REFERENCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, "HOME": home},
        )
        assert json.loads(process.stdout.readline()) == "ready"
        yield process
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


@pytest.fixture
def command_line(reference, platform, tmp_path):
    return lambda project: CommandLine(reference, platform, project, tmp_path)


@pytest.fixture(scope="session")
def small_pages():
    """A platform whose pages have two objects at most, whatever is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        running = Platform(pathlib.Path(folder) / "data", "--page-cap", "2")
        try:
            yield running
        finally:
            running.stop()


def pytest_pyfunc_call(pyfuncitem):
    """Runs tests that are coroutines, each in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=300))
    return True


def pytest_collection_modifyitems(items):
    """What was called is looked at after all calls."""
    items.sort(key=lambda item: item.path.name == "test_coverage.py")


if "MESHAGENT_BIN" not in os.environ:
    sys.exit("MESHAGENT_BIN must name the program under test")
# The machine's own settings must not reach a client.
for name in list(os.environ):
    if name.startswith("MESHAGENT_") and name != "MESHAGENT_BIN":
        del os.environ[name]
