"""What `room database` and `room memory` send to a room: the reference's and ours, side by side.

The room's side of both toolkits is played, so that every command gets an answer.
"""

import json
import os
import sys

import pytest

from command_lines import Ours, Reference
from recording import asked
from test_room_commands import HERE, both, programs  # noqa: F401

# The exit codes of the reference and of ours, and the command. The reference takes wrong usage for
# a failure in most of these commands.
SAME = [
    (0, 0, "database table"),
    (0, 0, "database tables -n a -n b"),
    (0, 0, "database inspect -t people"),
    (0, 0, "database inspect --table people --namespace a --json"),
    (1, 1, "database inspect -t none"),
    (0, 0, ["database", "create", "-t", "new", "-c", "id int not null, v vector(3), t text null"]),
    (
        0,
        0,
        [
            *("database", "create", "-t", "new", "--mode", "overwrite", "-n", "a", "--columns"),
            "l list(text), w vector(2, int), s struct(a date, b struct(c binary not null)), x bool, y timestamp, z float",
        ],
    ),
    (
        0,
        0,
        'database create -t new --schema-json {"v":{"type":"vector","size":2,"element_type":'
        '{"type":"float"}},"s":{"type":"struct","nullable":false,"fields":{"a":{"type":"text"}}}}',
    ),
    (0, 0, 'database create -t new --data-json [{"id":1,"x":null,"l":[1.5,"a"],"s":{"b":true}}]'),
    (0, 0, ["database", "create", "-t", "new", "-c", "id int, t text", "--data-file", "rows.json"]),
    (0, 0, "database create -t new"),
    (2, 2, "database create -t new -c id"),
    (2, 2, ["database", "create", "-t", "new", "-c", "id int", "--schema-json", "{}"]),
    (0, 0, "database drop -t people"),
    (0, 0, "database drop -t people --ignore-missing -n a"),
    (1, 1, "database drop -t none"),
    (0, 0, ["database", "add-columns", "-t", "people", "-c", "a int, b list(text) null"]),
    (
        0,
        0,
        ["database", "add-columns", "-t", "people", "--columns-json"]
        + ['{"a": "id + 1", "b": {"type": "text"}}'],
    ),
    (1, 2, "database add-columns -t people"),
    (1, 2, "database add-columns -t people --columns-json []"),
    (0, 0, "database drop-columns -t people -c a --column b"),
    (0, 0, 'database insert -t people --json [{"id":1,"t":"ü","n":1e3,"d":null}]'),
    (0, 0, "database insert -t people -f rows.json -n a"),
    (0, 0, "database insert -t people --json []"),
    (1, 1, "database insert -t none --json []"),
    (1, 2, "database insert -t people"),
    (1, 2, "database insert -t people --json {}"),
    (1, 2, "database insert -t people --json [1]"),
    (0, 0, 'database merge -t people --on id --json [{"id":1}]'),
    (0, 0, "database merge -t people --on id --file rows.json"),
    (0, 0, ["database", "update", "-t", "people", "--where", "id = 1", "--values-json"]
     + ['{"t": "ü", "l": [1, 2.5], "s": {"a": null}}']),
    (0, 0, ["database", "update", "-t", "people", "--where", "id = 1", "-n", "a"]
     + ["--values-json", '{"t": "x"}', "--values-sql-json", '{"id": "id + 1"}']),
    (1, 2, "database update -t people --where id=1"),
    (0, 0, "database delete -t people --where id=1"),
    (1, 1, "database delete -t none --where id=1"),
    (0, 0, "database search -t people"),
    (
        0,
        0,
        "database search -t people -n a --text tea --vector-json [0.5,1] --where id<3"
        " --select id --select t --limit 5 --offset 1 --no-pretty",
    ),
    (0, 0, 'database search -t people --where-json {"id":1,"ok":true,"x":1.5}'),
    (1, 1, "database search -t none"),
    (1, 2, "database search -t people --vector-json {}"),
    (0, 0, ["database", "sql", "-q", "select * from people", "-t", "people", "-t", "notes", "-n", "a"]),
    (
        0,
        0,
        ["database", "sql", "-q", "select 1", "--tables-file", "tables.json"]
        + ["--params-file", "params.json", "-n", "a"],
    ),
    (
        0,
        0,
        ["database", "sql", "-q", "select $n", "-t", "notes", "--no-pretty", "--tables-json"]
        + ['[{"name": "people", "namespace": ["b"]}]', "--params-json", '{"n": [1, "ü"]}'],
    ),
    (1, 2, "database sql -q select"),
    (1, 2, "database sql -q select --tables-json []"),
    (1, 2, "database sql -q select -t a --params-json []"),
    (0, 0, "database optimize -t people"),
    (0, 0, "database version -t people"),
    (0, 0, "database versions -t people --no-pretty"),
    (0, 0, "database checkout -t people -v 3"),
    (0, 0, "database restore -t people --version 3 -n a"),
    (0, 0, "database index -t people"),
    (0, 0, "database indexes -t people --no-pretty"),
    (0, 0, "database index-create -t people -c id"),
    (0, 0, "database index-create -t people -c t --kind fts --replace"),
    (0, 0, "database index-create -t people -c t --kind full_text --no-replace"),
    (0, 0, "database index-create -t people -c v --kind vector -n a"),
    (1, 2, "database index-create -t people -c v --kind other"),
    (0, 0, "database index-drop -t people --name id_idx"),
    (0, 0, "memory list"),
    (0, 0, "memory list -n a -n b --no-pretty"),
    (0, 0, "memory create -m people"),
    (0, 0, "memory create --name people --overwrite -n a"),
    (0, 0, "memory drop -m people"),
    (0, 0, "memory drop -m people --ignore-missing"),
    (1, 1, "memory drop -m none"),
    (0, 0, "memory inspect -m people"),
    (0, 0, ["memory", "query", "-m", "people", "-s", "MATCH (e:Entity) RETURN e.name LIMIT 1"]),
    (0, 0, 'memory upsert-table -m people -t visits --records-json [{"a":1,"b":null}]'),
    (0, 0, "memory upsert-table -m people -t visits --records-file entities.json --no-merge"),
    (0, 0, 'memory upsert-nodes -m people --records-json [{"name":"Ada","confidence":0.5}]'),
    (0, 0, "memory upsert-nodes -m people --records-file entities.json --no-merge -n a"),
    (1, 2, "memory upsert-nodes -m people --records-json [{}]"),
    (1, 2, "memory upsert-nodes -m people"),
    (
        0,
        0,
        "memory upsert-relationships -m people --records-json"
        ' [{"source_entity_id":"a","target_entity_id":"b"}]',
    ),
    (0, 0, "memory ingest-text -m people --text tea"),
    (
        0,
        0,
        "memory ingest-text -m people -f a.txt --strategy llm --llm-model x --llm-temperature 0.5",
    ),
    (1, 2, "memory ingest-text -m people"),
    (0, 0, "memory ingest-image -m people --caption tea"),
    (0, 0, 'memory ingest-image -m people -f c.png --annotations-json {"origin":"camera"}'),
    (0, 0, "memory ingest-image -m people -f job.unknown --mime-type a/b --source s"),
    (1, 2, "memory ingest-image -m people"),
    (0, 0, "memory ingest-file -m people --path a.txt"),
    (0, 0, "memory ingest-file -m people --text tea --mime-type text/plain"),
    (0, 0, "memory ingest-file -m people --text-file a.txt"),
    (0, 0, "memory ingest-from-table -m people -t notes"),
    (
        0,
        0,
        "memory ingest-from-table -m people -t notes --text-column a --text-column b"
        " --table-namespace n --limit 3",
    ),
    (0, 0, "memory ingest-from-storage -m people -p a.txt -p b.txt"),
    (0, 0, "memory recall -m people -q tea"),
    (0, 0, "memory recall -m people -q tea --limit 2 --no-include-relationships"),
    (0, 0, "memory delete-entities -m people -e a --entity-id b"),
    (
        0,
        0,
        "memory delete-relationships -m people --records-json"
        ' [{"source_entity_id":"a","target_entity_id":"b"}]',
    ),
    (0, 0, "memory optimize -m people"),
    (0, 0, "memory optimize -m people --no-compact --no-cleanup"),
]


def named(command):
    return command if isinstance(command, str) else " ".join(command)


@pytest.mark.parametrize(("theirs", "ours", "command"), SAME, ids=[named(it[2]) for it in SAME])
async def test_both_send_the_same(platform, programs, theirs, ours, command):  # noqa: F811
    reference, program = await both(platform, programs, command)
    assert (reference.code, program.code) == (theirs, ours)
    assert program.sent == reference.sent
    assert program.ways == reference.ways or ours == 2


async def test_whether_a_table_was_there_is_asked_first(platform, programs):  # noqa: F811
    # The reference says that it was created either way.
    command = "database create -t new --mode create_if_not_exists --schema-file columns.json"
    reference, program = await both(platform, programs, command)
    assert (reference.code, program.code) == (0, 0)
    own, theirs = ([it[0] for it in asked(run.sent)] for run in (program, reference))
    assert own == ["list_tables", *theirs]
    own, theirs = (
        [it.header["chunk"] for it in run.sent if "chunk" in it.header]
        for run in (program, reference)
    )
    assert own == theirs


@pytest.mark.parametrize(
    "command",
    [
        "database search -t people",
        "database search -t people --no-pretty",
        "database version -t people",
        "database index -t people --no-pretty",
        "database inspect -t people --json",
        "memory query -m people -s MATCH",
        "memory recall -m people -q tea",
        "memory ingest-text -m people --text tea",
        "memory optimize -m people",
    ],
)
async def test_both_print_the_same_json(platform, programs, command):  # noqa: F811
    reference, program = await both(platform, programs, command)
    assert json.loads(program.stdout) == json.loads(reference.stdout)


async def test_nothing_is_equal_to_null_and_texts_are_quoted_as_in_sql(platform, programs):  # noqa: F811
    # The reference writes JSON, in which a text with a quotation mark is no text of SQL.
    command = 'database search -t people --where-json {"a":null,"b":"it\'s"}'
    reference, program = await both(platform, programs, command)
    conditions = [run.sent[1].header["chunk"]["json"]["where"] for run in (reference, program)]
    assert conditions == ['a = null AND b = "it\'s"', "a IS NULL AND b = 'it''s'"]


async def test_names_that_are_no_words_are_quoted_in_conditions(platform, programs):  # noqa: F811
    # The reference pastes them into the condition, and so a key can be any condition.
    command = ["database", "search", "-t", "people", "--where-json", '{"1=1 or id":5,"id":1}']
    reference, program = await both(platform, programs, command)
    conditions = [run.sent[1].header["chunk"]["json"]["where"] for run in (reference, program)]
    assert conditions == ["1=1 or id = 5 AND id = 1", "`1=1 or id` = 5 AND id = 1"]


REQUIRED = {
    "tables": [
        {
            "table": "people",
            "schema": {"id": {"type": "int"}, "t": {"type": "text"}, "v": {"type": "int"}},
            "namespace": ["a"],
            # There is an index of `id` already.
            "scalar_indexes": ["id", "v"],
            "full_text_search_indexes": ["t"],
        }
    ]
}


async def test_tables_are_installed_as_agents_install_them(platform, programs, monkeypatch):  # noqa: F811
    # The reference takes every table for something else, and fails.
    monkeypatch.setitem(HERE, "required.json", json.dumps(REQUIRED).encode())
    command = "database install --file required.json"
    reference, program = await both(platform, programs, command)
    assert (reference.code, program.code) == (1, 0)
    assert reference.sent == []
    tools = [it[0] for it in asked(program.sent)]
    assert tools == [
        *("list_tables", "create_table", "list_indexes"),
        *("create_full_text_search_index", "create_scalar_index", "optimize"),
    ]
    chunks = [it.header["chunk"].get("json") for it in program.sent if "chunk" in it.header]
    (start,) = [chunk for chunk in chunks if chunk and chunk.get("kind") == "start"]
    assert (start["mode"], start["namespace"]) == ("create_if_not_exists", ["a"])
    index = {"table": "people", "column": "v", "replace": True, "namespace": ["a"]}
    assert asked(program.sent)[4] == ("create_scalar_index", index)


LINES = {
    "lines.jsonl": b'{"id": 1, "t": "a"}\n{"id": 2, "t": null}\n',
    "table.csv": b'id,t\n1,a\n2,\n',
}


@pytest.mark.parametrize("name", LINES)
async def test_rows_are_read_from_other_files(platform, programs, name, monkeypatch):  # noqa: F811
    for path, content in LINES.items():
        monkeypatch.setitem(HERE, path, content)
    _, program = await both(
        platform, programs, "database table", f"database insert -t people -f {name}"
    )
    assert program.code == 0
    chunks = [it.header["chunk"].get("json") for it in program.sent if "chunk" in it.header]
    (rows,) = [chunk["rows"] for chunk in chunks if chunk and chunk["kind"] == "rows"]
    assert [[it["value"].get("value") for it in row["columns"]] for row in rows] == [
        [1, "a"],
        [2, None],
    ]
    # Only a file of texts needs to know what the columns are.
    assert ("inspect" in [it[0] for it in asked(program.sent)]) == name.endswith("csv")


DOCKER = '''#!{python}
import json, pathlib, re, sys

here = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (here / "log").open("a") as log:
    log.write(json.dumps(words) + "\\n")
asked = words[3:] if words[0] == "exec" else words
entities = [
    ["1", "Ada", "person", " likes tea ", 0.5, "2026-01-01", None],
    ["2", "Bob", None, "", "0.25", 1700000000, None],
    ["3", "Eve", "person", None, None, None, None],
]
knows = ["1", "2", "", "met", 1, None, "2026-01-02", None, None, "Ada", "Bob"]
match asked:
    case ["PING"]:
        # It reads the dump for a while.
        is_ready = (here / f"asked {{words[1]}}").exists()
        (here / f"asked {{words[1]}}").touch()
        print("PONG" if is_ready else "LOADING")
    case ["--raw", "--scan"]:
        print("default_db\\npeople\\nother")
    case ["--raw", "TYPE", key]:
        print("string" if key == "other" else "graphdata")
    case ["--json", "GRAPH.QUERY", "people", statement]:
        skip, limit = map(int, re.search(r"SKIP (\\d+) LIMIT (\\d+)$", statement).groups())
        rows = entities if statement.startswith("MATCH (n)") else [knows]
        print(json.dumps([["a"], rows[skip : skip + limit], ["took 1 ms"]]))
    case ["--version"] | ["rm", "-f", _] | ["run", *_]:
        pass
    case _:
        sys.exit(f"unexpected: {{words}}")
'''


@pytest.fixture
def docker(tmp_path, monkeypatch, platform):
    """Both programs where a program answers as docker does with FalkorDB in a container; and the
    folder with what that was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(DOCKER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    # The reference looks for programs where it did when it was started.
    reference = Reference(tmp_path, platform.environment)
    yield folder, (reference, Ours(tmp_path))
    reference.stop()


@pytest.mark.parametrize("name", ["people", "new"])
async def test_a_dump_becomes_the_same_memory(platform, docker, name):
    folder, programs = docker  # noqa: F811
    command = f"memory import -m {name} -f job.unknown --batch-size 2 -n a"
    reference, program = await both(platform, programs, command)
    assert (reference.code, program.code) == (0, 0), program.stderr
    assert asked(program.sent) == asked(reference.sent)
    assert [it[0] for it in asked(program.sent)] == [
        *(["list"] if name == "people" else ["list", "create"]),
        *("upsert_nodes", "upsert_nodes", "upsert_relationships"),
    ]
    assert program.ways == reference.ways
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    started = [line for line in lines if line[0] == "run"]
    for line in started:
        assert line[:5] == ["run", "--rm", "-d", "--name", line[4]]
        assert line[5] == "-v" and line[6].endswith("job.unknown:/var/lib/falkordb/data/dump.rdb:ro")
        assert line[7:] == ["falkordb/falkordb:latest"]
        assert ["rm", "-f", line[4]] in lines
    assert len(started) == 2


async def test_a_container_is_removed_after_a_failure(platform, docker):
    folder, programs = docker  # noqa: F811
    command = "memory import -m people -f job.unknown --graph-name none"
    reference, program = await both(platform, programs, command)
    assert (reference.code, program.code) == (1, 1)
    assert 'there is no graph "none" in the dump' in program.stderr
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    names = [line[4] for line in lines if line[0] == "run"]
    assert all(["rm", "-f", name] in lines for name in names) and len(names) == 2


async def test_no_memory_is_made_without_docker(platform, programs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("PATH", str(tmp_path))
    command = "memory import -m new -f job.unknown"
    reference, program = await both(platform, programs, command)
    assert program.code == 1
    assert "neither docker nor podman can be run" in program.stderr
    assert program.sent == []
