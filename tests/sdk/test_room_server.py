"""What participants of the public SDK do in a room, and what the others see of it."""

import asyncio
import contextlib
import uuid

import aiohttp
import pytest
from aiohttp import web
from meshagent.api.messaging import (
    BinaryContent,
    JsonContent,
    TextContent,
)
from meshagent.api.participant_token import (
    AgentsGrant,
    ApiScope,
    MessagingGrant,
    QueuesGrant,
    StorageGrant,
    StoragePathGrant,
)
from meshagent.api.room_server_client import (
    MessageStreamChunk,
    RoomClient,
    RoomException,
    ToolContentSpec,
)
from meshagent.api.specs.service import ServiceSpec
from meshagent.api.webhooks import WebhookServer
from meshagent.api.websocket_protocol import WebSocketClientProtocol
from meshagent.tools.hosting import RemoteToolkit, RemoteToolkitServer
from meshagent.tools.tool import ContentTool, FunctionTool
from meshagent.tools.toolkit import Toolkit
from conftest import WEBHOOK_SECRET
from rooms import entered, until


@contextlib.asynccontextmanager
async def web_server(service):
    """Serves an application of the SDK on a free port."""
    runner = web.AppRunner(service.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


async def test_a_room_is_created_by_who_enters_it(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:
        assert (ada.room_name, ada.room_url.endswith(f"/rooms/{room}")) == (room, True)
        async with entered(platform, room, "bob") as bob:
            assert bob.session_id == ada.session_id
            assert bob.local_participant.id != ada.local_participant.id


async def test_participants_of_messaging_see_each_other(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:
        await ada.messaging.enable()
        assert ada.messaging.get_participants() == []
        async with entered(platform, room, "bot", role="agent") as bot:
            # Who has not enabled it is not seen.
            await bot.local_participant.set_attribute("mood", {"is": ["good"]})
            await bot.queues.list()
            assert ada.messaging.get_participants() == []
            await bot.messaging.enable()
            await until(ada.messaging.get_participants)
            (seen,) = ada.messaging.get_participants()
            assert (seen.id, seen.role) == (bot.local_participant.id, "agent")
            assert seen.get_attribute("name") == "bot"
            assert seen.get_attribute("mood") == {"is": ["good"]}
            (me,) = bot.messaging.get_participants()
            assert (me.id, me.role) == (ada.local_participant.id, "user")
            await bot.local_participant.set_attribute("mood", "bad")
            await until(lambda: seen.get_attribute("mood") == "bad")
            await bot.local_participant.set_attribute("name", "eve")
            await bot.queues.list()
            assert seen.get_attribute("name") == "bot"
        await until(lambda: ada.messaging.get_participants() == [])


async def test_messages_reach_whom_they_are_for(platform):
    room = new_room()
    async with (
        entered(platform, room, "ada") as ada,
        entered(platform, room, "bob") as bob,
        entered(platform, room, "eve") as eve,
    ):
        heard = {"ada": [], "bob": [], "eve": []}
        for name, client in [("ada", ada), ("bob", bob), ("eve", eve)]:
            client.messaging.on(
                "message",
                lambda message, name=name: heard[name].append(
                    (
                        message.from_participant_id,
                        message.type,
                        message.message,
                        message.attachment,
                    )
                ),
            )
            await client.messaging.enable()
        await until(lambda: len(ada.messaging.get_participants()) == 2)
        to_bob = ada.messaging.get_participant(bob.local_participant.id)
        for number in range(50):
            await ada.messaging.send_message(
                to=to_bob, type="chat", message={"n": number}, attachment=b"\0\xff" * number
            )
        await ada.messaging.broadcast_message(type="all", message={"x": "ü"})
        await until(lambda: len(heard["bob"]) == 51 and len(heard["eve"]) == 1)
        me = ada.local_participant.id
        expected = [(me, "chat", {"n": n}, b"\0\xff" * n) for n in range(50)]
        assert [(a, b, c, d or b"") for a, b, c, d in heard["bob"][:50]] == expected
        assert heard["eve"][0][:3] == (me, "all", {"x": "ü"})
        assert heard["ada"] == []
        # Somebody who left is not found.
        await eve.messaging.disable()
        await until(lambda: len(ada.messaging.get_participants()) == 1)
        stranger = bob.messaging.get_participant(ada.local_participant.id)
        await ada.messaging.disable()
        with pytest.raises(RoomException) as refused:
            await bob.messaging.send_message(to=stranger, type="x", message={})
        assert refused.value.code == 1003


async def test_a_stream_between_participants_arrives_in_order(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        got, done = [], asyncio.Event()

        async def read(stream):
            async for chunk in stream.read_chunks():
                got.append((chunk.header["n"], chunk.data))
            done.set()

        def accept(stream):
            asyncio.get_running_loop().create_task(read(stream))

        await bob.messaging.enable(on_stream_accept=accept)
        await ada.messaging.enable()
        (to,) = ada.messaging.get_participants()
        stream = await ada.messaging.create_stream(to=to, header={"what": "numbers"})
        for number in range(100):
            await stream.write(
                MessageStreamChunk(header={"n": number}, data=bytes([number]) * 3000)
            )
        await stream.close()
        await asyncio.wait_for(done.wait(), 20)
        assert got == [(n, bytes([n]) * 3000) for n in range(100)]


async def test_queues_deliver_each_message_once_and_in_order(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        assert await ada.queues.list() == []
        waiting = asyncio.create_task(bob.queues.receive(name="jobs"))
        while not await ada.queues.list():
            await asyncio.sleep(0.01)
        await ada.queues.send(name="jobs", message={"n": 0}, create=False)
        assert value_of(await asyncio.wait_for(waiting, 10)) == {"n": 0}
        messages = [{"n": 1}, {"n": 2, "x": [None, 1.5]}, {"n": 3}]
        for message in messages:
            await ada.queues.send(name="jobs", message=message)
        assert [(q.name, q.size) for q in await ada.queues.list()] == [("jobs", 3)]
        got = [await bob.queues.receive(name="jobs", wait=False) for _ in messages]
        assert [value_of(one) for one in got] == messages
        assert await bob.queues.receive(name="jobs", wait=False) is None
        await ada.queues.send(name="jobs", message="only text")
        assert value_of(await bob.queues.receive(name="jobs")) == "only text"


def value_of(content):
    if isinstance(content, JsonContent):
        return content.json
    if isinstance(content, TextContent):
        return content.text
    return content


async def test_a_receiver_that_leaves_takes_nothing_with_it(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:
        async with entered(platform, room, "bob") as bob:
            waiting = asyncio.create_task(bob.queues.receive(name="jobs"))
            while not await ada.queues.list():
                await asyncio.sleep(0.01)
        with pytest.raises(RoomException):
            await waiting
        await ada.queues.send(name="jobs", message={"n": 1})
        assert value_of(await ada.queues.receive(name="jobs", wait=False)) == {"n": 1}


async def test_queues_are_opened_drained_and_closed(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:

        async def code_of(asked):
            with pytest.raises(RoomException) as refused:
                await asked
            return refused.value.code

        await ada.queues.open(name="q")
        assert await code_of(ada.queues.open(name="q")) == 5002
        await ada.queues.send(name="q", message={"n": 1})
        await ada.queues.drain(name="q")
        assert [(q.name, q.size) for q in await ada.queues.list()] == [("q", 0)]
        await ada.queues.send(name="q", message={"n": 2})
        await ada.queues.close(name="q")
        assert await code_of(ada.queues.send(name="q", message={})) == 1006
        assert await code_of(ada.queues.receive(name="q", wait=False)) == 1006
        await ada.queues.open(name="q")
        assert value_of(await ada.queues.receive(name="q", wait=False)) == {"n": 2}
        for missing in [
            ada.queues.send(name="none", message={}, create=False),
            ada.queues.receive(name="none", create=False, wait=False),
            ada.queues.drain(name="none"),
            ada.queues.close(name="none"),
        ]:
            assert await code_of(missing) == 5001
    # They outlive the room.
    async with entered(platform, room, "ada") as ada:
        assert [(q.name, q.size) for q in await ada.queues.list()] == [("q", 0)]


async def test_files_are_stored_listed_read_and_deleted(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        seen = []
        for client in [ada, bob]:
            client.storage.on("file.updated", lambda path, participant_id: seen.append(("+", path, participant_id)))
            client.storage.on("file.deleted", lambda path, participant_id: seen.append(("-", path, participant_id)))
        assert await ada.storage.list(path="") == []
        assert await ada.storage.list(path=".schemas") == []
        assert not await ada.storage.exists(path="a/b.txt")
        assert await ada.storage.stat(path="a/b.txt") is None
        large = bytes(range(256)) * 1024
        await ada.storage.upload(path="a/b.txt", data=b"hello")
        await ada.storage.upload(path="a/large", data=large, mime_type="x/y")
        await ada.storage.upload(path="empty", data=b"")
        me = ada.local_participant.id
        await until(lambda: len(seen) == 6)
        assert sorted(seen) == sorted([("+", p, me) for p in ["a/b.txt", "a/large", "empty"]] * 2)
        got = await bob.storage.download(path="a/b.txt")
        assert (got.name, got.mime_type, got.data) == ("b.txt", "text/plain", b"hello")
        got = await bob.storage.download(path="a/large")
        assert (got.name, got.mime_type, got.data) == ("large", "x/y", large)
        assert (await bob.storage.download(path="empty")).data == b""
        with pytest.raises(RoomException) as refused:
            await bob.storage.download(path="none")
        assert refused.value.code == 3001
        listed = [(it.name, it.is_folder, it.size) for it in await bob.storage.list(path="")]
        assert listed == [("a", True, None), ("empty", False, 0)]
        found = await bob.storage.stat(path="a/b.txt")
        assert (found.name, found.is_folder, found.size) == ("b.txt", False, 5)
        assert found.updated_at is not None and found.created_at is not None
        with pytest.raises(RoomException) as refused:
            await bob.storage.upload(path="a/b.txt", data=b"other", overwrite=False)
        assert refused.value.code == 3005
        await bob.storage.upload(path="a/b.txt", data=b"other", overwrite=True)
        assert (await ada.storage.download(path="a/b.txt")).data == b"other"
        with pytest.raises(RoomException) as refused:
            await bob.storage.delete("a")
        assert refused.value.code == 3002
        seen.clear()
        await bob.storage.delete("a", recursive=True)
        await until(lambda: len(seen) == 6)
        assert {(what, path) for what, path, _ in seen} == {("-", p) for p in ["a", "a/b.txt", "a/large"]}
        for path in ["../x", "a/../../x", ""]:
            with pytest.raises(RoomException) as refused:
                await bob.storage.upload(path=path, data=b"x")
            assert refused.value.code == 3004, path
    async with entered(platform, room, "ada") as ada:
        assert [it.name for it in await ada.storage.list(path="")] == ["empty"]


async def test_what_is_logged_is_seen_by_those_who_watch(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        events = []

        async def watch():
            async for event in bob.developer.logs():
                events.append(event)
                if event.type == "last":
                    return

        watching = asyncio.create_task(watch())
        while not events:
            await ada.developer.log(type="first", data={"n": 1})
            await asyncio.sleep(0.02)
        ada.developer.warning("careful", extra={"k": "v"})
        await until(lambda: any(event.type == "otel.log" for event in events))
        await ada.developer.log(type="last", data={})
        await asyncio.wait_for(watching, 10)
        assert (events[0].type, events[0].data) == ("first", {"n": 1})
        (told,) = [event.data for event in events if event.type == "otel.log"]
        (record,) = told["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        assert record["severityText"] == "WARN"
        assert record["body"] == {"stringValue": "careful"}
        assert record["attributes"] == [{"key": "k", "value": {"stringValue": "v"}}]


class Add(FunctionTool):
    def __init__(self):
        super().__init__(
            name="add",
            title="Add",
            description="adds two numbers",
            input_schema={
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        )

    async def execute(self, context, *, a, b):
        if a < 0:
            raise RoomException("no negative numbers", code=1002)
        return JsonContent(json={"sum": a + b, "caller": context.caller.id})


class Echo(ContentTool):
    """Sends each part back, and what it came to."""

    def __init__(self):
        spec = ToolContentSpec(types=["binary"], stream=True)
        super().__init__(name="echo", input_spec=spec, output_spec=spec)

    async def execute(self, context, input):
        async def parts():
            count = 0
            async for part in input:
                count += len(part.data)
                yield BinaryContent(data=part.data, headers={"count": count})

        return parts()


async def test_a_toolkit_of_a_participant_is_used_by_the_others(platform):
    room = new_room()
    async with entered(platform, room, "bot", role="agent") as bot, entered(platform, room, "ada") as ada:
        toolkit = RemoteToolkit(name="math", title="Math", tools=[Add(), Echo()])
        await toolkit.start(room=bot)
        (listed,) = await ada.agents.list_toolkits()
        assert (listed.name, listed.title) == ("math", "Math")
        add = listed.get_tool("add")
        assert add.description == "adds two numbers"
        assert add.input_schema["required"] == ["a", "b"]
        got = await ada.agents.invoke_tool(toolkit="math", tool="add", input={"a": 1, "b": 2})
        assert got.json == {"sum": 3, "caller": ada.local_participant.id}
        many = [ada.agents.invoke_tool(toolkit="math", tool="add", input={"a": n, "b": n}) for n in range(100)]
        assert [it.json["sum"] for it in await asyncio.gather(*many)] == [2 * n for n in range(100)]
        for wrong, code in [({"a": -1, "b": 0}, 1002), ({"a": "x"}, None)]:
            with pytest.raises(RoomException) as refused:
                await ada.agents.invoke_tool(toolkit="math", tool="add", input=wrong)
            assert code is None or refused.value.code == code
        for toolkit_name, tool in [("math", "none"), ("none", "add")]:
            with pytest.raises(RoomException) as refused:
                await ada.agents.invoke_tool(toolkit=toolkit_name, tool=tool, input={})
            assert refused.value.code == 1003

        async def parts():
            for n in range(20):
                yield BinaryContent(data=bytes([n]) * 5000, headers={})

        answers = await ada.agents.invoke_tool(toolkit="math", tool="echo", input=parts())
        got = [it async for it in answers if isinstance(it, BinaryContent)]
        assert [it.data for it in got] == [bytes([n]) * 5000 for n in range(20)]
        assert got[-1].headers["count"] == 100_000
        await toolkit.stop()
        assert await ada.agents.list_toolkits() == []


async def test_a_private_toolkit_is_there_for_its_participant_and_who_names_it(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bot", role="agent") as bot:
        toolkit = RemoteToolkit(name="own", tools=[Add()], public=False)
        await toolkit.start(room=ada)
        me = ada.local_participant.id
        assert await bot.agents.list_toolkits() == []
        assert [it.name for it in await ada.agents.list_toolkits()] == ["own"]
        assert [it.name for it in await bot.agents.list_toolkits(participant_id=me)] == ["own"]
        with pytest.raises(RoomException) as refused:
            await bot.agents.invoke_tool(toolkit="own", tool="add", input={"a": 1, "b": 1})
        assert refused.value.code == 1003
        got = await bot.agents.invoke_tool(toolkit="own", tool="add", input={"a": 1, "b": 1}, participant_id=me)
        assert got.json["sum"] == 2
        await toolkit.stop()


class Stuck(FunctionTool):
    def __init__(self, called):
        super().__init__(name="stuck", input_schema={"type": "object", "properties": {}, "required": [], "additionalProperties": False})
        self.called = called

    async def execute(self, context):
        self.called.set()
        await asyncio.sleep(3600)


async def test_calls_end_with_their_host(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:
        async with entered(platform, room, "bot", role="agent") as bot:
            called = asyncio.Event()
            await RemoteToolkit(name="slow", tools=[Stuck(called)]).start(room=bot)
            call = asyncio.create_task(ada.agents.invoke_tool(toolkit="slow", tool="stuck", input={}))
            await asyncio.wait_for(called.wait(), 10)
        with pytest.raises(RoomException, match="left the room"):
            await asyncio.wait_for(call, 10)
        assert await ada.agents.list_toolkits() == []


async def test_a_scope_is_what_may_be_done(platform):
    room = new_room()

    async def denied(asked):
        with pytest.raises(RoomException) as refused:
            await asked
        return refused.value.code == 1001

    scope = ApiScope(
        queues=QueuesGrant(send=["in"], receive=["out"], list=False),
        messaging=MessagingGrant(broadcast=False, list=False, send=True),
        storage=StorageGrant(paths=[StoragePathGrant(path="mine/"), StoragePathGrant(path="shared", read_only=True)]),
    )
    async with entered(platform, room, "owner") as owner, entered(platform, room, "ada", api=scope) as ada:
        await owner.storage.upload(path="shared/x", data=b"x")
        await owner.queues.send(name="out", message={})
        await ada.queues.send(name="in", message={})
        assert value_of(await ada.queues.receive(name="out")) == {}
        assert await denied(ada.queues.receive(name="in"))
        assert await denied(ada.queues.send(name="out", message={}))
        assert await denied(ada.queues.list())
        await ada.storage.upload(path="mine/x", data=b"x")
        assert (await ada.storage.download(path="shared/x")).data == b"x"
        assert await denied(ada.storage.upload(path="shared/x", data=b"y", overwrite=True))
        assert await denied(ada.storage.delete("shared/x"))
        assert await denied(ada.storage.download(path="other"))
        assert [it.name for it in await ada.storage.list(path="")] == ["mine", "shared"]
        await owner.messaging.enable()
        await ada.messaging.enable()
        assert ada.messaging.get_participants() == []
        assert await denied(ada.messaging.broadcast_message(type="x", message={}))
        assert await denied(ada.developer.log(type="x", data={}))
        assert await denied(ada.services.list())
        assert await denied(ada.sync.describe(path="x.thread"))


async def test_a_file_can_be_downloaded_by_its_address(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, aiohttp.ClientSession() as http:
        await ada.storage.upload(path="a b/ü.html", data=b"<p>hi")
        url = await ada.storage.download_url(path="a b/ü.html")
        async with http.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"<p>hi")
            assert answer.headers["content-disposition"] == "attachment"
        async with http.get(url.replace("until=", "until=9")) as answer:
            assert answer.status == 403
        with pytest.raises(RoomException) as refused:
            await ada.storage.download_url(path="none")
        assert refused.value.code == 3001


async def test_schemas_and_the_toolkit_for_files_are_called_as_agents_do(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada:
        await ada.agents.make_call(
            name="thread", url="http://localhost:8080/schemas/thread", arguments={}
        )
        assert [it.name for it in await ada.storage.list(path=".schemas")] == ["thread.json"]
        await ada.agents.make_call(
            name="storage", url="http://localhost:8080/toolkits/storage", arguments={}
        )
        for _ in range(500):
            listed = await ada.agents.list_toolkits()
            if listed:
                break
            await asyncio.sleep(0.01)
        assert [it.name for it in listed] == ["storage"]
        await ada.storage.upload(path="a.txt", data=b"one\ntwo\n")
        got = await ada.agents.invoke_tool(
            toolkit="storage", tool="read_file", input={"path": "a.txt"}
        )
        assert "two" in str(vars(got))
    # Helpers alone do not keep a room going.
    async with entered(platform, room, "ada") as ada:
        assert await ada.agents.list_toolkits() == []


async def test_an_agent_is_called_to_the_room_by_its_url(platform):
    room = new_room()
    toolkit = RemoteToolkitServer(
        path="/math",
        host="127.0.0.1",
        port=0,
        validate_webhook_secret=False,
        create_toolkit=lambda arguments: Toolkit(name="math", tools=[Add()]),
    )
    async with web_server(toolkit) as url:
        async with entered(platform, room, "ada") as ada:
            await ada.agents.make_call(name="bot", url=f"{url}/math", arguments={})
            for _ in range(1000):
                if await ada.agents.list_toolkits():
                    break
                await asyncio.sleep(0.01)
            got = await ada.agents.invoke_tool(toolkit="math", tool="add", input={"a": 2, "b": 3})
            assert got.json["sum"] == 5
            for wrong in ["http://127.0.0.1:1/x", f"{url}/none", "ftp://x/", "word"]:
                with pytest.raises(RoomException):
                    await ada.agents.make_call(name="bot", url=wrong, arguments={})
        few = ApiScope(agents=AgentsGrant(), queues=QueuesGrant(send=["a"]))
        async with entered(platform, room, "bob", api=few) as bob:
            with pytest.raises(RoomException, match="more than the caller has"):
                await bob.agents.make_call(
                    name="bot", url=f"{url}/math", arguments={}, api=ApiScope.full()
                )


async def test_a_session_is_recorded(platform):
    async with platform.room() as (client, project, made):
        connection = await client.connect_room(project_id=project, room="demo")
        protocol = WebSocketClientProtocol(url=connection.room_url, token=connection.jwt)
        async with RoomClient(protocol=protocol) as ada:
            (session,) = await client.list_active_sessions(project_id=project)
            assert (session.id, session.room_id, session.room_name) == (
                ada.session_id,
                made.id,
                "demo",
            )
            await ada.storage.upload(path="x", data=b"x")
        for _ in range(500):
            (session,) = await client.list_recent_sessions(project_id=project)
            if not session.is_active:
                break
            await asyncio.sleep(0.01)
        assert (session.is_active, session.participants) == (False, {"user": 1})
        events = await client.list_session_events(project_id=project, session_id=session.id)
        assert [event["type"] for event in events] == [
            "participant.joined",
            "storage.file.updated",
            "participant.left",
        ]
        # A session that is terminated ends its room.
        connection = await client.connect_room(project_id=project, room="demo")
        protocol = WebSocketClientProtocol(url=connection.room_url, token=connection.jwt)
        async with RoomClient(protocol=protocol) as ada:
            await client.terminate(project_id=project, session_id=ada.session_id)
            await asyncio.wait_for(ada.protocol.wait_for_close(), 10)


class Receiver(WebhookServer):
    """Receives webhooks as the SDK does, and checks their signatures."""

    def __init__(self):
        super().__init__(
            path="/hook",
            host="127.0.0.1",
            port=0,
            webhook_secret=WEBHOOK_SECRET,
            validate_webhook_secret=True,
        )
        self.heard = []

    async def on_webhook(self, *, payload):
        self.heard.append(payload)
        await super().on_webhook(payload=payload)


async def test_webhooks_hear_what_happens_in_rooms(platform):
    receiver = Receiver()
    async with web_server(receiver) as url, platform.room() as (client, project, made):
        await client.create_webhook(
            project_id=project,
            name="all",
            url=f"{url}/hook",
            events=["*"],
            action="note",
            payload={"team": "ü"},
        )
        await client.create_webhook(
            project_id=project, name="none", url=f"{url}/other", events=["room.ended"]
        )
        connection = await client.connect_room(project_id=project, room="demo")
        protocol = WebSocketClientProtocol(url=connection.room_url, token=connection.jwt)
        async with RoomClient(protocol=protocol) as ada:
            me = ada.local_participant.id
            await ada.storage.upload(path="a.txt", data=b"x")
            await ada.storage.delete("a.txt")
        await until(lambda: len(receiver.heard) == 4)
        room = {"team": "ü", "room_name": "demo"}
        file = {"team": "ü", "path": "a.txt", "participant_id": me}
        assert receiver.heard == [
            {"event": event, "data": data, "action": "note"}
            for event, data in [
                ("room.started", {**room, "room_url": connection.room_url}),
                ("storage.file.updated", file),
                ("storage.file.deleted", file),
                ("room.ended", room),
            ]
        ]
        hooks = (await client.list_webhooks(project_id=project))
        (hook,) = [hook for hook in hooks["webhooks"] if hook["name"] == "all"]
        path = f"/accounts/projects/{project}/webhooks/{hook['id']}/deliveries"
        headers = {"Authorization": f"Bearer {platform.key}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            # A delivery is recorded before it is sent, and again once it was answered.
            for _ in range(500):
                async with http.get(f"{platform.url}{path}") as answer:
                    deliveries = (await answer.json())["deliveries"]
                if len(deliveries) == 4 and all(it["delivered"] for it in deliveries):
                    break
                await asyncio.sleep(0.01)
        assert [(it["event"], it["delivered"], it["attempts"]) for it in deliveries] == [
            (event, True, 1)
            for event in [
                "room.ended",
                "storage.file.deleted",
                "storage.file.updated",
                "room.started",
            ]
        ]


def external(name, url, path="/math", **port):
    return ServiceSpec.model_validate(
        {
            "version": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "external": {"url": url},
            "ports": [
                {
                    "num": 80,
                    "type": "http",
                    "endpoints": [{"path": path, "meshagent": {"identity": "calculator"}}],
                    **port,
                }
            ],
        }
    )


async def test_external_services_are_called_when_their_room_starts(platform):
    toolkit = RemoteToolkitServer(
        path="/math",
        host="127.0.0.1",
        port=0,
        validate_webhook_secret=False,
        create_toolkit=lambda arguments: Toolkit(name="math", tools=[Add()]),
    )
    async with web_server(toolkit) as url, platform.room() as (client, project, made):
        everywhere = await client.create_service(
            project_id=project, service=external("everywhere", url, liveness="/")
        )
        connection = await client.connect_room(project_id=project, room="demo")
        protocol = WebSocketClientProtocol(url=connection.room_url, token=connection.jwt)

        async def states(room):
            listed = await room.services.list_with_state()
            return {
                spec.metadata.name: listed.service_states[spec.id].state
                for spec in listed.services
                if spec.id in listed.service_states
            }

        async def become(room, expected):
            for _ in range(1000):
                seen = await states(room)
                if seen == expected:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(seen)

        async with RoomClient(protocol=protocol) as ada:
            await become(ada, {"everywhere": "running"})
            await ada.messaging.enable()
            for _ in range(1000):
                if await ada.agents.list_toolkits():
                    break
                await asyncio.sleep(0.01)
            got = await ada.agents.invoke_tool(toolkit="math", tool="add", input={"a": 2, "b": 3})
            assert got.json["sum"] == 5
            # One that is added is called at once; one that nobody answers is called again.
            await client.create_room_service(
                project_id=project,
                room_name="demo",
                service=external("here", "http://127.0.0.1:1"),
            )
            await become(ada, {"everywhere": "running", "here": "failing"})
            listed = await ada.services.list_with_state()
            (here,) = [spec for spec in listed.services if spec.metadata.name == "here"]
            state = listed.service_states[here.id]
            assert state.restart_count >= 1 and state.restart_scheduled_at is not None
            await client.delete_room_service(
                project_id=project, room_name="demo", service_id=here.id
            )
            await become(ada, {"everywhere": "running"})
            before = (await ada.services.list_with_state()).service_states
            (before,) = before.values()
            await ada.services.restart(service_id=before.service_id)
            for _ in range(1000):
                (state,) = (await ada.services.list_with_state()).service_states.values()
                if state.restart_count == before.restart_count + 1 and state.state == "running":
                    break
                await asyncio.sleep(0.01)
            assert state.started_at > before.started_at
            with pytest.raises(RoomException) as refused:
                await ada.services.restart(service_id="none")
            assert refused.value.code == 7001
