"""A running platform, and clients of the public SDK that point at it."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "sdk_common"))
from running import (  # noqa: E402, F401
    Platform,
    exercised,
    pytest_collection_modifyitems,
    pytest_pyfunc_call,
    running,
)

# What the platform signs webhooks with.
WEBHOOK_SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(scope="session")
def platform():
    with running(MESHAGENT_WEBHOOK_SECRET=WEBHOOK_SECRET) as platform:
        yield platform


class Corpus(list):
    """Paths of examples. It is whole where those beside the project are among them."""

    def __init__(self, paths, is_whole):
        super().__init__(paths)
        self.is_whole = is_whole


@pytest.fixture(scope="session")
def corpus():
    """The published examples: those that are checked in, and those beside the project."""
    tests = pathlib.Path(__file__).parents[1]
    folders = (tests / "documented" / "files", tests.parents[1] / "shared" / "corpus")
    files = [path for folder in folders for path in sorted(folder.rglob("*.yaml"))]
    # Most are in both places.
    paths = list({path.read_text(): path for path in reversed(files)}.values())
    return Corpus(paths, is_whole=folders[1].is_dir())
