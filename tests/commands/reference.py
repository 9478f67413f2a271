"""Tells how the commands of the reference are called, and nothing of what its help says.

Standard output: JSON, a list of commands. Each has its `path`, its `options` with their `names`,
what they take (`flag`, `value` or `values`), whether they are `required` and their `default`,
and its `arguments` with their `name` and whether they are `required`. Commands that the help
hides, such as former names, are among them; options that it hides are not.
"""

import enum
import json
import sys

import click
import typer.main
from meshagent.cli.cli import app


def default(parameter):
    value = parameter.default
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def option(parameter):
    if parameter.is_flag or parameter.count:
        takes = "flag"
    else:
        takes = "values" if parameter.multiple or parameter.nargs != 1 else "value"
    told = {
        "names": [*parameter.opts, *parameter.secondary_opts],
        "takes": takes,
        "required": parameter.required,
    }
    if takes != "flag" and default(parameter) is not None:
        told["default"] = default(parameter)
    return told


def walk(command, path):
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from walk(below, [*path, name])
        return
    shown = [it for it in command.params if not getattr(it, "hidden", False)]
    options = [option(it) for it in shown if isinstance(it, click.Option)]
    arguments = [it for it in shown if isinstance(it, click.Argument)]
    yield {
        "path": " ".join(path),
        # One has no name at all, so nobody can give it.
        "options": [it for it in options if any(it["names"]) and it["names"] != ["--help"]],
        "arguments": [{"name": it.human_readable_name, "required": it.required} for it in arguments],
    }


json.dump(list(walk(typer.main.get_command(app), [])), sys.stdout)
