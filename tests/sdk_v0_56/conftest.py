"""A running platform, and clients of the public SDK 0.56 that point at it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "sdk_common"))
from running import (  # noqa: E402, F401
    Platform,
    exercised,
    pytest_collection_modifyitems,
    pytest_pyfunc_call,
    running,
)


@pytest.fixture(scope="session")
def platform():
    with running() as platform:
        yield platform


@pytest.fixture(scope="session")
def small_pages():
    """A platform whose pages have two objects at most, whatever is asked for."""
    with running("--page-cap", "2") as platform:
        yield platform


async def walk(page, name):
    """All objects of a list, and how many pages it has."""
    found, pages, token = [], 0, None
    while True:
        got = await page(continuation_token=token)
        found += getattr(got, name)
        pages, token = pages + 1, got.continuation_token
        if token is None:
            return found, pages


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
