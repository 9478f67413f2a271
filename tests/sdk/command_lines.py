"""The two command lines: the reference's, and the program under test, with what they sent."""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

from recording import Recorder

# How long a command may take, in seconds.
PATIENCE = 60

# Starting the reference takes seconds, so one process imports it, makes its parser, and forks for each
# command.
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
        for number, path in enumerate(["/dev/null", asked["stdout"], asked["stderr"]]):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
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
        # An end that clears everything away takes as long as the command.
        os._exit(code or 0)
    print(json.dumps(child), flush=True)
    _, status = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
"""


@dataclasses.dataclass
class Run:
    """What a command did."""

    code: int
    stdout: str
    stderr: str
    # What it sent to the room, with names for what differs each time.
    sent: list
    # How it entered the room and left it: keys of the query, and the code of the close frame.
    ways: list
    # How long it took, in seconds.
    seconds: float
    # The files that were in its folder afterwards.
    files: dict


class Reference:
    """The command line of the public package."""

    def __init__(self, home, environment):
        # It reads some settings only when it is imported.
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", REFERENCE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, **environment, "HOME": str(home), "COLUMNS": "1000"},
        )
        assert self.read() == "ready"

    def read(self):
        # One that never answers ends the reading instead of the test run.
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        return json.loads(line)

    async def run(self, words, environment, folder, out, err, meanwhile):
        asked = {
            "words": words,
            "environment": environment,
            "folder": str(folder),
            "stdout": str(out),
            "stderr": str(err),
        }
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        child = await asyncio.to_thread(self.read)
        code = asyncio.create_task(asyncio.to_thread(self.read))
        await meanwhile(out, lambda: os.kill(child, signal.SIGINT))
        return await code

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE)
        self.process.stdout.close()


class Ours:
    """The program under test."""

    def __init__(self, home):
        self.home = home

    async def run(self, words, environment, folder, out, err, meanwhile):
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                os.environ["MESHAGENT_BIN"],
                *words,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env={**kept, "HOME": str(self.home), **environment},
            )
            try:
                await meanwhile(out, lambda: process.send_signal(signal.SIGINT))
                return await asyncio.wait_for(process.wait(), PATIENCE)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


async def nothing(out, interrupt):
    """What happens while most commands run."""


async def run(
    platform, program, words, room, *, files={}, names={}, meanwhile=nothing, played=None
):
    """Runs one command in a folder with these files. `names` has what ids are called here, and
    `played` plays toolkits of the room."""
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(top) / "folder"
        folder.mkdir()
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        out, err = pathlib.Path(top) / "stdout", pathlib.Path(top) / "stderr"
        async with Recorder(platform.url, played) as recorder:
            environment = {**platform.environment, "MESHAGENT_ROOM_URL": recorder.url}
            words = ["room", *words, "--room", room]
            begun = time.monotonic()
            code = await program.run(words, environment, folder, out, err, meanwhile)
            seconds = time.monotonic() - begun
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return Run(
            code=code,
            stdout=out.read_text(),
            stderr=err.read_text(),
            sent=recorder.messages(names),
            ways=recorder.ways,
            seconds=seconds,
            files={str(path.relative_to(folder)): path.read_bytes() for path in found},
        )
