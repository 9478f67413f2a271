"""Reads service and template files as the reference does: render, parse, convert, dump.

The arguments are files. What it makes of them is said in one line; a file that neither of
its models accepts is counted and does not end the run.
"""

import sys

from meshagent.api.specs.service import ServiceSpec, ServiceTemplateSpec


def read(path):
    with open(path) as file:
        text = file.read()
    try:
        spec = ServiceSpec.from_yaml(text)
    except Exception:
        spec = ServiceTemplateSpec.from_yaml(text, {}).to_service_spec()
    return spec.model_dump(mode="json")


def main():
    accepted = 0
    for path in sys.argv[1:]:
        try:
            read(path)
            accepted += 1
        except Exception:
            pass
    print(f"{accepted} of {len(sys.argv) - 1} files accepted")


main()
