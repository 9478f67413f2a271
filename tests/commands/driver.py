"""Runs command lines of the reference, each in a process of its own.

Starting the reference takes seconds, nearly all of it imports of libraries. So they are
imported once, and each run is a fork of this process that then imports the command line
itself, which reads its home and its environment while it is imported.

Standard input: a JSON list of runs, each with `argv`, `environment`, `folder`, `input`.
Standard output: a JSON list, in the same order, each with `code`, `stdout`, `stderr`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

SECONDS = 60
AT_ONCE = 2


def preload():
    """Imports what the command line needs, except the command line itself."""
    listing = (
        "import sys, meshagent.cli.cli\n"
        "print('\\n'.join(n for n in sys.modules if not n.startswith('meshagent.cli')))"
    )
    with tempfile.TemporaryDirectory() as home:
        names = subprocess.run(
            [sys.executable, "-c", listing],
            env={"HOME": home, "PATH": os.environ.get("PATH", "")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split("\n")
    for name in names:
        try:
            __import__(name)
        except Exception:  # Some modules exist in that process only.
            pass


def child(run, files):
    """Becomes the command line; never returns."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(run["environment"])
        os.chdir(run["folder"])
        for descriptor, file in enumerate(files):
            os.dup2(file.fileno(), descriptor)
        sys.argv = ["meshagent", *run["argv"]]
        from meshagent.cli.cli import app

        app(prog_name="meshagent")
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def start(run):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(run["input"].encode())
    files[0].seek(0)
    pid = os.fork()
    if pid == 0:
        child(run, files)
    return pid, files, time.monotonic() + SECONDS


def finish(status, files):
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
    return {"code": os.waitstatus_to_exitcode(status), "stdout": texts[0], "stderr": texts[1]}


def main():
    runs = json.load(sys.stdin)
    preload()
    results = [None] * len(runs)
    waiting, running = list(enumerate(runs)), {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            index, run = waiting.pop(0)
            pid, files, ends = start(run)
            running[pid] = (index, files, ends)
        for pid, (index, files, ends) in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done and time.monotonic() > ends:
                os.kill(pid, 9)
                done, status = os.waitpid(pid, 0)
            if done:
                results[index] = finish(status, files)
                del running[pid]
        time.sleep(0.005)
    json.dump(results, sys.stdout)


main()
