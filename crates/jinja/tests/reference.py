"""Answers what Jinja2 makes of templates.

Standard input is a JSON list of [template, values]; standard output says which Jinja2 on which
Python answers, and has one answer a template: {"text": ...}, or {"error": ...} with the kind of
error where Jinja2 does not render it.
"""

import json
import platform
import random
import re
import sys
from importlib.metadata import version

from jinja2 import Template


def answer(template, values):
    random.seed(0)
    try:
        text = Template(template).render(**values)
        # Where an object lies differs each time.
        return {"text": re.sub(r"\b0x[0-9a-f]{8,}", "0x0", text)}
    except Exception as error:
        return {"error": type(error).__name__}


def main():
    answers = [answer(*case) for case in json.load(sys.stdin)]
    versions = {"jinja2": version("jinja2"), "python": platform.python_version()}
    json.dump({**versions, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
