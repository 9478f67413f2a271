"""What `room` commands send to a room: the reference's and ours, recorded side by side.

Both commands run in rooms that are furnished alike, through a proxy that records them. Where ours
differs, a test says how, and why.
"""

import asyncio
import base64
import contextlib
import email
import email.policy
import json
import types
import uuid

import jwt
import pytest
from aiohttp import web
from meshagent.agents.mail_common import message_to_json, should_reply_to_message
from meshagent.agents.schemas import document_schema
from meshagent.api.messaging import TextContent
from meshagent.api.room_server_client import ToolContentSpec
from meshagent.tools.hosting import RemoteToolkit
from meshagent.tools.tool import ContentTool

from command_lines import Ours, Reference, nothing, run
from played import Played
from recording import asked, by_call
from rooms import entered
from test_room_server import Add, external, web_server

FILES = {
    "notes.txt": "für später\n".encode(),
    "latin.txt": "für".encode("latin-1"),
    "big.bin": bytes(range(256)) * 300,
    "empty": b"",
    "logs/a.txt": b"a",
    "logs/b.txt": b"bb",
    "logs/c.md": b"# c",
    "logs/old/d.txt": b"d",
}

CONVERSATION = {
    "uuid": "0f3c9a52-6a4f-4c0e-9d6e-0b6a9f3f1c11",
    "name": "Plan",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-02T00:00:00Z",
    "chat_messages": [
        {"uuid": "m", "sender": "human", "text": "ü", "created_at": "2026-01-01T00:00:00Z"}
    ],
}

HERE = {
    "a.txt": b"a" * 3000,
    "b.txt": b"",
    "c.png": bytes(70_000),
    "folder/x.txt": b"x",
    ".a.hid": b"hidden",
    "latin.txt": "für".encode("latin-1"),
    "job.json": '{"do": ["this", null, "ü"]}\n'.encode(),
    "job.unknown": b"\0\xff",
    "export.json": json.dumps([CONVERSATION]).encode(),
    "schema.json": json.dumps(document_schema.to_json()).encode(),
    "rows.json": json.dumps([{"id": n, "t": f"ü {n}"} for n in range(300)]).encode(),
    "columns.json": json.dumps({"id": {"type": "int"}}).encode(),
    "entities.json": json.dumps([{"name": "Ada"}]).encode(),
    "tables.json": json.dumps([{"name": "people", "alias": "p"}]).encode(),
    "params.json": json.dumps({"id": 1}).encode(),
}


DOCUMENT = {"document": {"content": [{"heading": {"text": "Plan"}}, {"body": {"text": "ü"}}]}}

# Commands that answer with nothing.
SILENT = ["queue send", "messaging send", "messaging broadcast", "storage cp", "storage rm"]
SILENT += ["sync create", "sync update", "sync import", "service restart", "queue send-mail", "secret set", "secret delete"]
SILENT += [f"database {word}" for word in ("create", "drop", "insert", "merge", "update", "delete")]
SILENT += [f"database {word}" for word in ("add-columns", "drop-columns", "index-create", "index-drop")]
SILENT += [f"database {word}" for word in ("optimize", "checkout", "restore", "install")]
SILENT += [f"memory {word}" for word in ("create", "drop", "import")]
SILENT += [f"memory upsert-{word}" for word in ("table", "nodes", "relationships")]


class Say(ContentTool):
    """Takes a text, and sends it word by word."""

    def __init__(self):
        takes = ToolContentSpec(types=["text"], stream=False)
        sends = ToolContentSpec(types=["text"], stream=True)
        super().__init__(name="say", input_spec=takes, output_spec=sends)

    async def execute(self, context, input):
        async def words():
            for word in input.text.split():
                yield TextContent(text=word)

        return words()


@pytest.fixture(scope="module")
def programs(platform, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    reference = Reference(home, platform.environment)
    yield reference, Ours(home)
    reference.stop()


async def keep_secrets(platform, room, bob):
    """What the commands' own identity has, and a participant that gives what it is asked for."""

    async def give(request):
        await bob.secrets.provide_secret(request_id=request.request_id, data=b"\0given")

    async def sign_in(request):
        id = request.request_id
        if request.authorization_endpoint.startswith("http://127.0.0.1"):
            await bob.secrets.provide_oauth_authorization(request_id=id, code="code")
        else:
            await bob.secrets.reject_oauth_authorization(request_id=id, error="no")

    bob.secrets._secret_request_handler = give
    bob.secrets._oauth_token_request_handler = sign_in
    async with platform.client() as client:
        connected = await client.connect_room(
            project_id=platform.environment["MESHAGENT_PROJECT_ID"], room=room
        )
    me = jwt.decode(connected.jwt, options={"verify_signature": False})["name"]
    for id, more in [("key", {"type": "text/x"}), ("shared", {"delegated_to": "bob"})]:
        await bob.secrets.set_secret(secret_id=id, for_identity=me, data=b"\0value\n", **more)


@contextlib.asynccontextmanager
async def furnished(platform, room, group):
    """A room with what the commands of a group need; what ids in it are called."""
    async with contextlib.AsyncExitStack() as stack:
        bob = await stack.enter_async_context(entered(platform, room, "bob"))
        names = {bob.local_participant.id: "BOB"}
        if group == "messaging":
            await bob.messaging.enable()
        if group == "storage":
            for path, content in FILES.items():
                await bob.storage.upload(path=path, data=content)
        if group == "queue":
            await bob.queues.send(name="jobs", message={"n": [1, None, 1.5], "ü": "ü"})
            await bob.queues.send(name="texts", message="only text")
        if group == "service":
            async with platform.client() as client:
                id = await client.create_room_service(
                    project_id=platform.environment["MESHAGENT_PROJECT_ID"],
                    room_name=room,
                    service=external("calculator", "http://127.0.0.1:1"),
                )
            names[id] = "SERVICE"
        if group == "sync":
            await bob.sync.create(path="a.document", json=DOCUMENT)
        if group in ("secret", "secrets"):
            await keep_secrets(platform, room, bob)
        if group == "agent":
            toolkit = RemoteToolkit(name="math", tools=[Add(), Say()])
            await toolkit.start(room=bob)
            stack.push_async_callback(toolkit.stop)
        yield bob, names


async def one(platform, program, words, meanwhile=None):
    """Runs a command in a room of its own."""
    room = f"room-{uuid.uuid4().hex[:12]}"
    async with furnished(platform, room, words[0]) as (bob, names):
        ids = {name: id for id, name in names.items()}

        async def at_once(out, interrupt):
            await meanwhile(bob, out, interrupt)

        return await run(
            platform,
            program,
            [ids.get(word, word) for word in words],
            room,
            files=HERE,
            names=names,
            meanwhile=at_once if meanwhile else nothing,
            played=Played() if words[0] in ("database", "memory") else None,
        )


async def both(platform, programs, theirs, ours=None, meanwhile=None):
    """Runs a command of both programs; ours with other options if they are given."""
    theirs, ours = (words.split() if isinstance(words, str) else words for words in (theirs, ours))
    pairs = zip(programs, (theirs, ours or theirs))
    runs = (one(platform, program, words, meanwhile) for program, words in pairs)
    reference, program = await asyncio.gather(*runs)
    # Data goes to standard output, and nothing else does; a failure is told and has a code.
    if program.code != 0 or " ".join(theirs[:2]) in SILENT:
        assert (program.stdout, bool(program.stderr)) == ("", True)
    assert "Connecting" not in program.stdout
    return reference, program


# The exit codes of the reference and of ours, and the command. Failures of ours are never 0.
SAME = [
    (0, 0, "agent list-toolkits"),
    (0, 0, "agent list-toolkits --participant-id BOB"),
    (0, 0, "agent list-toolkits --role agent"),
    (0, 0, 'agent invoke-tool --toolkit math --tool add --arguments {"a":1,"b":2.5}'),
    (
        0,
        0,
        'agent invoke-tool --toolkit math --tool add --arguments {"a":1,"b":2} --timeout 0'
        ' --participant-id BOB --on-behalf-of-id BOB --caller-context {"chat":{"id":1}}',
    ),
    (0, 0, r'agent invoke-tool --toolkit math --tool say --arguments "one\u0020two" --timeout 0'),
    (0, 1, 'agent invoke-tool --toolkit math --tool add --arguments {"a":-1,"b":2} --timeout 0'),
    (1, 1, "agent invoke-tool --toolkit none --tool add --arguments {} --timeout 1"),
    (0, 1, "agent invoke-tool --toolkit none --tool add --arguments {} --timeout 0"),
    (0, 0, 'queue send --queue jobs --json {"do":["this",null,1e3,"ü"]}'),
    (0, 0, 'queue send --queue new --json "text"'),
    (0, 0, "queue send --queue new --json [1,true]"),
    (0, 0, "queue receive --queue jobs"),
    (0, 0, "queue receive --queue texts"),
    (1, 1, "queue receive --queue nothing"),
    (0, 0, "queue size --queue jobs"),
    (1, 1, "queue size --queue nothing"),
    # Neither leaves messaging: the end of the connection does that.
    (0, 0, "messaging list"),
    (0, 0, 'messaging send --to-participant-id BOB --type chat --data {"text":"ü"}'),
    (0, 0, "messaging send --to-participant-id BOB --type x.y --data {}"),
    (0, 1, "messaging send --to-participant-id nobody --type chat --data {}"),
    (0, 0, 'messaging broadcast --data {"text":"ü","n":[1,2.5]}'),
    (0, 0, "messaging broadcast --data {}"),
    (0, 0, "storage exists room://notes.txt"),
    (0, 0, "storage exists logs/old"),
    (0, 0, "storage exists room://none"),
    (0, 0, "storage cp a.txt room://new/a.txt"),
    (0, 0, "storage cp b.txt room://notes.txt"),
    (0, 0, "storage cp c.png room://logs"),
    (0, 0, "storage cp a.txt room://up/"),
    (0, 0, "storage cp a.txt room://"),
    (0, 0, "storage cp *.png room://up/"),
    (0, 0, "storage cp room://notes.txt here.txt"),
    (0, 0, "storage cp room://big.bin out/deep/"),
    (0, 0, "storage cp room://empty folder"),
    (0, 0, "storage cp room://logs/*.txt out/"),
    (0, 0, "storage cp room://logs/[!a]*.txt here.txt"),
    (0, 0, "storage cp a.txt folder/b.txt"),
    (1, 1, "storage cp room://none here.txt"),
    (1, 1, "storage cp room://logs here.txt"),
    (0, 1, "storage cp room://logs/*.none out/"),
    (0, 1, "storage cp room://logs/*.txt here.txt"),
    (0, 1, "storage cp room://logs/*.txt room://one"),
    (0, 0, "storage show room:///notes.txt"),
    (0, 0, "storage show room://latin.txt --encoding latin-1"),
    (0, 0, "storage show a.txt"),
    (1, 1, "storage show room://none"),
    (1, 1, "storage show room://logs"),
    (0, 0, "storage rm room://notes.txt"),
    (0, 0, "storage rm -r room://logs"),
    (0, 0, "storage rm room://logs/*.txt"),
    (0, 0, "storage rm a.txt"),
    (1, 1, "storage rm room://logs"),
    (1, 1, "storage rm room://logs/"),
    (1, 1, "storage rm room://none"),
    (1, 1, "storage rm room://logs/*.none"),
    (0, 1, "storage rm none"),
    (0, 0, "storage ls room://"),
    (0, 0, "storage ls room:///"),
    (0, 0, "storage ls room://logs"),
    (0, 0, "storage ls room://logs/"),
    (0, 0, "storage ls room://notes.txt"),
    (0, 0, "storage ls room:///logs"),
    (0, 1, "storage ls room://none"),
    (0, 1, "storage ls room://none/*"),
    (0, 1, "storage ls room://*.none"),
    (1, 1, "storage ls none"),
    (0, 0, "secret list"),
    (0, 0, "secret set --id new --text vålue"),
    (0, 0, "secret set --id key --in latin.txt --type t/x --name Key"),
    (0, 0, "secret set --id key --base64 AP8= --delegated-to bob --for-identity ada"),
    (0, 0, "secret get --id key"),
    (0, 0, "secret get --id shared --delegated-to bob --out out.bin"),
    (1, 1, "secret get --id none"),
    (0, 0, "secret delete key"),
    (0, 0, "secret delete shared --delegated-to bob"),
    (1, 1, "secret delete none"),
    (0, 0, "secret request --from-participant-id BOB --url u"),
    (
        0,
        0,
        "secrets request --from-participant-id BOB --url u --type t --delegate-to bob"
        " --timeout 5 -o out.bin",
    ),
    (1, 1, "secret request --from-participant-id nobody --url u"),
    (
        1,
        1,
        "secret oauth --from-participant-id BOB --client-id app --client-secret s --scopes a,b"
        " --authorization-endpoint https://a/o --token-endpoint https://a/t --redirect-uri r",
    ),
    (
        1,
        1,
        "secret oauth --from-participant-id BOB --client-id app --client-secret s --no-pkce"
        " --authorization-endpoint https://a/o --token-endpoint https://a/t --redirect-uri r",
    ),
    (2, 2, "secret set --id key"),
    (2, 2, "secret set --id key --text a --base64 YQ=="),
    (2, 2, "secret set --id key --base64 !"),
    (0, 0, "service list"),
    (0, 0, "service list --output json"),
    (0, 0, "service restart --id SERVICE"),
    (0, 0, "service restart --name calculator"),
    (1, 1, "service restart --name none"),
    (2, 2, "service restart"),
    (2, 2, "service restart --id SERVICE --name calculator"),
]


@pytest.mark.parametrize(("theirs", "ours", "command"), SAME, ids=[it[2] for it in SAME])
async def test_both_send_the_same(platform, programs, theirs, ours, command):
    reference, program = await both(platform, programs, command)
    assert program.sent == reference.sent
    assert program.ways == reference.ways
    assert program.files == reference.files
    assert (reference.code, program.code) == (theirs, ours)


@pytest.mark.parametrize(
    "command",
    [
        # Several files are copied by name here, and by their order on the disk there.
        "storage cp [ab].txt room://logs",
        # A file is sent while it is read here, and wholly read before there.
        "storage cp room://notes.txt room://copy.bin",
        "storage cp room://big.bin room://logs",
        "storage cp room://logs/*.txt room://other/",
    ],
)
async def test_both_make_the_same_calls_in_another_order(platform, programs, command):
    reference, program = await both(platform, programs, command)
    assert by_call(program.sent) == by_call(reference.sent)
    assert len(by_call(program.sent)) > 1
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)


@pytest.mark.parametrize(
    "command",
    [
        "storage ls -r room://",
        "storage ls -r room://logs",
        "storage ls -r room://l*",
        "storage ls room://*.txt",
        "storage ls room://logs/*.txt",
    ],
)
async def test_a_list_is_not_followed_by_questions_that_it_answers(platform, programs, command):
    # The list of a folder says which of its entries are folders. The reference asks again.
    reference, program = await both(platform, programs, command)
    (path,) = (word.removeprefix("room://") for word in command.split() if "://" in word)
    needed = [it for it in asked(reference.sent) if it[0] != "stat" or it[1]["path"] == path]
    assert asked(program.sent) == needed != asked(reference.sent)
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)


async def test_a_file_is_copied_to_a_path_without_a_folder(platform, programs):
    # The reference makes the folder "", and fails at that.
    reference, program = await both(platform, programs, "storage cp a.txt b.txt")
    assert reference.sent == program.sent == []
    assert (reference.code, program.code) == (1, 0)
    assert program.files["b.txt"] == HERE["a.txt"]


async def test_a_secret_is_printed_as_it_is(platform, programs):
    # The reference tells of it on standard error as well.
    reference, program = await both(platform, programs, "secret get --id key")
    assert program.stdout == reference.stdout == "\0value\n"
    reference, program = await both(
        platform, programs, "secret request --from-participant-id BOB --url u"
    )
    assert program.stdout == reference.stdout == "\0given"


async def test_a_token_is_printed_alone(platform, programs):
    # The reference prints a sentence.
    forms = []

    async def token(request):
        forms.append({**await request.post()})
        return web.json_response({"access_token": "the.token"})

    app = web.Application()
    app.router.add_post("/token", token)
    async with web_server(types.SimpleNamespace(app=app)) as url:
        words = "secret oauth --from-participant-id BOB --client-id app --client-secret s"
        words += f" --authorization-endpoint {url}/o --token-endpoint {url}/token --redirect-uri r"
        # Of the reference, scopes keep the spaces between them.
        words = [*words.split(), "--scopes", "a, b"]
        reference, program = await both(platform, programs, words)
    assert program.stdout == "the.token\n"
    assert reference.stdout.splitlines()[-1] == "Got access token: the.token"
    (_, theirs), (_, ours) = asked(reference.sent) + asked(program.sent)
    assert (theirs["oauth"].pop("scopes"), ours["oauth"].pop("scopes")) == (["a", " b"], ["a", "b"])
    assert ours == theirs
    assert [form["code"] for form in forms] == ["code", "code"]
    assert (reference.code, program.code) == (0, 0)


async def test_a_file_is_shown_as_it_is(platform, programs):
    # The reference says that it connects, and adds the end of a line.
    reference, program = await both(platform, programs, "storage show room://notes.txt")
    assert program.stdout == "für später\n"
    assert reference.stdout == "Connecting to room...\nfür später\n\n"


async def test_a_toolkit_that_is_there_is_called_at_once(platform, programs):
    # The reference sleeps for a second before it looks at the answer.
    words = 'agent invoke-tool --toolkit math --tool add --arguments {"a":1,"b":2}'
    reference, program = await both(platform, programs, words)
    assert program.sent == reference.sent
    assert reference.seconds > 1
    assert program.seconds < reference.seconds


async def test_a_file_with_a_message_is_sent_as_json(platform, programs):
    # The reference sends the text of a Python literal, and wants --json although it ignores it.
    reference, program = await both(
        platform,
        programs,
        "queue send --queue new --json 1 --file job.json",
        "queue send --queue new --file job.json",
    )
    content = HERE["job.json"]
    ((_, theirs),), ((_, ours),) = asked(reference.sent), asked(program.sent)
    assert theirs.pop("message") == repr(content)
    assert ours.pop("message") == json.loads(content)
    assert ours == theirs
    assert (reference.code, program.code) == (0, 0)


@pytest.mark.parametrize(
    ("theirs", "command"),
    [
        (1, "queue send --queue jobs --json {"),
        (1, "messaging send --to-participant-id BOB --type chat --data {"),
        (1, "messaging broadcast --data {"),
        # A message to participants is an object; the room says so to the reference.
        (1, "messaging broadcast --data [1]"),
        (1, "agent invoke-tool --toolkit math --tool add --timeout 0 --arguments {"),
        (0, "agent invoke-tool --toolkit math --tool add --timeout 0 --arguments [1]"),
    ],
)
async def test_wrong_options_are_told_before_the_room_is_entered(
    platform, programs, theirs, command
):
    # The reference enters, and then fails.
    reference, program = await both(platform, programs, command)
    assert len(reference.ways) == 1
    assert program.ways == program.sent == []
    assert (reference.code, program.code) == (theirs, 2)


def calls_of(run):
    """The tools that were called, each with what was said at its start, and the kinds of the parts
    that came behind that."""
    calls = []
    streams = {}
    for message in run.sent:
        header = message.header
        if message.kind == "room.invoke_tool":
            arguments = header["arguments"]
            calls.append([header["toolkit"], header["tool"], arguments.get("json"), []])
            streams[header.get("tool_call_id")] = calls[-1]
            continue
        call, chunk = streams[header["tool_call_id"]], header["chunk"]
        told = chunk.get("headers", {})
        if told.get("kind") == "start":
            call[2] = told
        else:
            call[3].append(told.get("kind") or chunk.get("method"))
    return calls


def opening(path, **more):
    """How a document is opened and closed, without what is changed in it."""
    start = {"kind": "start", "path": path, "create": False, "vector": None, "schema": None}
    return ["sync", "open", {**start, "schema_path": None, "initial_json": None, **more}]


DESCRIBING = ["sync", "describe", {"path": "a.document", "schema_path": None}, []]
CLOSED = [*opening("a.document"), ["close"]]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sync show a.document", [DESCRIBING]),
        ("sync show ./a.document --include-ids", [CLOSED, DESCRIBING]),
        ("sync grep a.document Plan", [CLOSED, DESCRIBING]),
        ("sync inspect /a.document", [CLOSED]),
    ],
)
async def test_who_reads_a_document_sends_nothing_back(platform, programs, command, expected):
    # The reference sends back what it has opened. Ours asks what the room keeps beside the document.
    reference, program = await both(platform, programs, command)
    assert calls_of(program) == expected
    assert calls_of(reference) == [[*opening("a.document"), ["sync", "close"]]]
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)


async def test_a_document_is_made_in_one_call(platform, programs):
    # The reference asks first whether it is there, which somebody else may change meanwhile.
    words = ["sync", "create", "b.document", "--schema", "schema.json"]
    words += ["--json", json.dumps(DOCUMENT)]
    reference, program = await both(platform, programs, words)
    exists, opened = calls_of(reference)
    assert exists == ["storage", "exists", {"path": "b.document"}, []]
    assert opened[2]["create"] and opened[2]["initial_json"] == DOCUMENT
    asked = {"path": "b.document", "json": DOCUMENT, "schema": opened[2]["schema"]}
    assert calls_of(program) == [["sync", "create", {**asked, "schema_path": None}, []]]
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)
    # What is there already is left alone by both.
    words[2] = "a.document"
    reference, program = await both(platform, programs, words)
    assert (reference.code, program.code) == (1, 1)
    assert [it[1] for it in calls_of(reference)] == ["exists"]


async def test_a_document_is_changed_where_the_patch_changes_it(platform, programs):
    # The reference deletes all elements and makes them anew, and sends a part for each step.
    patch = [{"op": "replace", "path": "/document/content/0/heading/text", "value": "Other"}]
    words = ["sync", "update", "a.document", "--patch", json.dumps(patch)]
    reference, program = await both(platform, programs, words)
    opened, described = calls_of(program)
    assert described == DESCRIBING
    assert opened == [*opening("a.document"), ["sync", "close"]]
    (theirs,) = calls_of(reference)
    assert theirs[:3] == opened[:3] and theirs[3].count("sync") > 3
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)


async def test_conversations_become_the_same_documents(platform, programs):
    reference, program = await both(platform, programs, "sync import threads -f export.json")
    (theirs, *their_calls), (ours, *our_calls) = calls_of(reference), calls_of(program)
    assert [it[1] for it in our_calls] == [it[1] for it in their_calls] == ["exists", "create"]
    assert our_calls[0] == their_calls[0]
    (their_made, our_made) = (their_calls[1][2], our_calls[1][2])
    assert our_made["path"] == their_made["path"]
    assert messages_of(our_made["json"]) == messages_of(their_made["json"])
    assert (theirs[2]["path"], theirs[2]["create"]) == (ours[2]["path"], ours[2]["create"])
    # The reference sends a part for each value of a line of the list; ours sends the line.
    assert ours[3] == ["sync", "close"]
    assert program.ways == reference.ways
    assert (reference.code, program.code) == (0, 0)


def messages_of(thread):
    """A thread without lists of attachments, which the reference leaves out where there are none."""
    match thread:
        case dict():
            return {key: messages_of(it) for key, it in thread.items() if key != "attachments"}
        case list():
            return [messages_of(it) for it in thread]
        case _:
            return thread


def mail(run):
    """The mail that was sent, and the rest of the call."""
    (message,) = run.sent
    called = message.header["arguments"]["json"]
    content = base64.b64decode(called.pop("message").pop("base64"), validate=True)
    return email.message_from_bytes(content, policy=email.policy.default), message


MAILS = {
    "plain": ["--subject", "Hello", "--from", "ada@example.com"],
    "whole": [
        *("--subject", "Grüße für alle", "--from", "Ada Ü <ada@example.com>"),
        *("--body", "Hello *you*,\n\nüber\n.\n" + "long " * 300),
        *("--attachment", "a.txt", "--attachment", "c.png", "--attachment", "job.unknown"),
    ],
}


@pytest.mark.parametrize("options", MAILS.values(), ids=MAILS)
async def test_mails_say_the_same(platform, programs, options):
    words = ["queue", "send-mail", "--queue", "team@example.com", *options]
    reference, program = await both(platform, programs, words)
    (theirs, their_call), (ours, our_call) = mail(reference), mail(program)
    assert our_call == their_call
    assert (reference.code, program.code, program.ways) == (0, 0, reference.ways)
    for name in ("Subject", "From", "MIME-Version"):
        assert ours[name] == theirs[name], name
    # Ours has no end of a line that was not asked for.
    texts = [one.get_body("plain").get_content().rstrip() for one in (ours, theirs)]
    assert texts[0].splitlines() == texts[1].splitlines()
    attached = [
        [
            (part.get_content_type(), part.get_filename(), part.get_payload(decode=True))
            for part in one.iter_attachments()
        ]
        for one in (ours, theirs)
    ]
    assert attached[0] == attached[1]
    assert len(attached[0]) == options.count("--attachment")
    # Only the reference repeats the text as HTML, which readers take only if there is no text.
    kinds = [{part.get_content_type() for part in one.walk()} for one in (ours, theirs)]
    assert "text/html" in kinds[1] - kinds[0]
    # A mail has to have a date (RFC 5322, 3.6). That of the reference has none.
    assert (theirs["Date"], ours["Date"] is None) == (None, False)


@pytest.mark.parametrize("form", ["plain", "json"])
async def test_those_who_watch_send_the_same(platform, programs, form):
    async def logged(bob, out, interrupt):
        while not out.exists() or "careful" not in out.read_text():
            await bob.developer.log(type="first", data={"n": 1})
            bob.developer.warning("careful")
            await asyncio.sleep(0.05)
        interrupt()

    words = f"developer watch --format {form}"
    reference, program = await both(platform, programs, words, meanwhile=logged)
    assert program.sent == reference.sent
    assert program.ways == reference.ways
    # Ctrl-C is how watching ends, so it is no failure here.
    assert (reference.code, program.code) == (130, 0)


@pytest.mark.parametrize(
    "command",
    [
        "storage cp a.txt room:///",
        "storage cp room:///*.txt x/",
        "storage rm room:///*.txt",
        "storage ls room://l*",
        "storage cp none.txt room://x",
        "storage cp *.none room://x/",
        "storage cp folder room://x/",
        "storage cp *.hid room://x/",
        "storage rm *.hid",
        "storage cp f*r/x.txt room://x/",
        "storage cp room://logs/{a,b}* x/",
    ],
)
async def test_both_send_the_same_of_what_is_easily_missed(platform, programs, command):
    reference, program = await both(platform, programs, command)
    # What is asked without need when files are listed is not at issue here.
    is_list = command.startswith("storage ls")
    sent = [
        by_call(it for it in run.sent if not (is_list and it.header.get("tool") == "stat"))
        for run in (reference, program)
    ]
    assert sent[1] == sent[0]
    assert program.ways == reference.ways
    assert program.files == reference.files


@pytest.mark.parametrize(
    "name",
    [
        "To",
        "Message-ID",
    ],
)
async def test_mailboxes_answer_mails_of_both(platform, programs, name):
    queue = "team@example.com"
    words = ["queue", "send-mail", "--queue", queue, *MAILS["plain"]]
    for run in await both(platform, programs, words):
        message, _ = mail(run)
        # A mailbox answers only what is sent to its address, which is also the queue's name.
        if name == "To":
            told = message_to_json(message=message, role="user")
            assert should_reply_to_message(message=told, email_address=queue) == (True, None)
        # An answer refers to the mail by this.
        assert message[name] is not None
