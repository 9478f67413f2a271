"""Runs command lines of the reference, each in a process of its own.

Starting the reference takes seconds, nearly all of it imports. So its libraries are
imported once. The command line itself reads its home and some of the environment while it
is imported: runs that agree in those share one import, in a process forked from this one,
and each run is a fork of that.

Standard input: a JSON list of runs, each with `argv`, `environment`, `folder`, `input`.
Standard output: a JSON list, in the same order, each with `code`, `stdout`, `stderr`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SECONDS = 60
AT_ONCE = 2
READ_WHILE_IMPORTED = ("MESHAGENT_PROJECT_ID", "MESHAGENT_ROOM", "MESHAGENT_API_URL")


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


def key(run):
    """What is read while the command line is imported."""
    read = [run["environment"].get(name) for name in READ_WHILE_IMPORTED[:2]]
    folder = pathlib.Path(run["environment"]["HOME"]) / ".meshagent"
    files = [folder / name for name in ("project.json", "settings.json")]
    return (*read, *(file.read_text() if file.exists() else None for file in files))


def become(home, old):
    """Moves the paths that were made while the command line was imported."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("meshagent.cli"):
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, pathlib.Path) and value.is_relative_to(old):
                setattr(module, attribute, pathlib.Path(home) / value.relative_to(old))


def child(run, files, old, app):
    """Becomes the command line; never returns."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(run["environment"])
        os.chdir(run["folder"])
        for descriptor, file in enumerate(files):
            os.dup2(file.fileno(), descriptor)
        sys.argv = ["meshagent", *run["argv"]]
        become(run["environment"]["HOME"], old)
        folder = pathlib.Path(run["environment"]["HOME"]) / ".meshagent"
        folder.mkdir(exist_ok=True)
        sys.exit(app(prog_name="meshagent"))
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def start(run, old, app):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(run["input"].encode())
    files[0].seek(0)
    pid = os.fork()
    if pid == 0:
        child(run, files, old, app)
    return pid, files, time.monotonic() + SECONDS


def finish(status, files):
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
    return {"code": os.waitstatus_to_exitcode(status), "stdout": texts[0], "stderr": texts[1]}


def run_all(runs):
    """Imports the command line as the first of these runs would, and runs all of them."""
    old = runs[0]["environment"]["HOME"]
    os.environ.clear()
    os.environ.update(runs[0]["environment"])
    import typer.main
    from meshagent.cli.cli import app

    # The tree of commands is the same each time, and takes long to make.
    tree = typer.main.get_command(app)
    typer.main.get_command = lambda _: tree
    results = [None] * len(runs)
    waiting, running = list(enumerate(runs)), {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            index, run = waiting.pop(0)
            pid, files, ends = start(run, old, app)
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
    return results


def main():
    runs = json.load(sys.stdin)
    preload()
    groups = {}
    for index, run in enumerate(runs):
        groups.setdefault(key(run), []).append(index)
    results = [None] * len(runs)
    for indices in groups.values():
        with tempfile.TemporaryFile() as file:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    done = run_all([runs[index] for index in indices])
                    file.write(json.dumps(done).encode())
                    file.flush()
                    code = 0
                finally:
                    os._exit(code)
            _, status = os.waitpid(pid, 0)
            if status:
                sys.exit(f"the runs of one import ended with {status}")
            file.seek(0)
            for index, result in zip(indices, json.load(file)):
                results[index] = result
    json.dump(results, sys.stdout)


main()
