"""Documents that participants of the public SDK edit at once."""

import asyncio
import base64
import json
import random
import uuid

import pycrdt
import pytest
from meshagent.agents.thread_schema import thread_schema
from meshagent.api.messaging import BinaryContent, ErrorContent
from meshagent.api.participant_token import ApiScope, SyncGrant, SyncPathGrant
from meshagent.api.room_server_client import RoomException
from meshagent.api.schema import ChildProperty, ElementType, MeshSchema, ValueProperty
from rooms import entered, until

BOOK = MeshSchema(
    root_tag_name="book",
    elements=[
        ElementType(
            tag_name="book",
            properties=[
                ValueProperty(name="title", type="string"),
                ChildProperty(name="parts", child_tag_names=["part", "text"]),
            ],
        ),
        ElementType(
            tag_name="part",
            properties=[
                ValueProperty(name="about", type="string"),
                ChildProperty(name="parts", child_tag_names=["part", "text"]),
            ],
        ),
        ElementType(
            tag_name="text",
            properties=[ChildProperty(name="content", child_tag_names=["text"])],
        ),
    ],
)


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


def book(*about):
    return {"book": {"parts": [{"part": {"about": it, "parts": []}} for it in about]}}


def bare(schema):
    """A schema without what it says to people, and with its lists of names in one order."""
    match schema:
        case {"required": required, **rest}:
            return {"required": sorted(required), **bare(rest)}
        case dict():
            return {key: bare(value) for key, value in schema.items() if key != "description"}
        case list():
            return [bare(value) for value in schema]
        case _:
            return schema


class Shared:
    """A document with the transport of the SDK and without its view of it: that fails when several
    change the same at once."""

    def __init__(self):
        self.doc = pycrdt.Doc()
        self.xml = self.doc.get("xml", type=pycrdt.XmlFragment)
        self.sent = asyncio.Queue()
        self.doc.observe(lambda event: self.sent.put_nowait(event.update))

    async def parts(self, path):
        start = {"kind": "start", "path": path, "create": False, "vector": None}
        hints = {"schema": None, "schema_path": None, "initial_json": None}
        yield BinaryContent(data=b"", headers=start | hints)
        while (update := await self.sent.get()) is not None:
            yield BinaryContent(data=base64.b64encode(update), headers={"kind": "sync"})

    async def run(self, client, path):
        stream = await client.invoke(toolkit="sync", tool="open", input=self.parts(path))
        async for part in stream:
            if not isinstance(part, BinaryContent):
                # The end, which was asked for.
                assert self.sent.empty() and not isinstance(part, ErrorContent), part
                return
            # What is applied is sent back, as clients do.
            self.doc.apply_update(base64.b64decode(part.data))

    def content(self):
        return json.dumps(nodes(self.xml), sort_keys=True)


def nodes(parent):
    return [
        {node.tag: {**dict(node.attributes), "parts": nodes(node)}} for node in parent.children
    ]


async def test_a_document_is_made_described_and_listed(platform):
    async with entered(platform, new_room()) as ada:
        given = {"book": {"title": "T", **book("a")["book"]}}
        await ada.sync.create(path="/notes/a.book", json=given, schema=BOOK)
        assert await ada.sync.describe(path="./notes/a.book") == given
        assert await ada.storage.exists(path="notes/a.book")
        assert [entry.name for entry in await ada.storage.list(path="notes")] == ["a.book"]
        with pytest.raises(RoomException) as error:
            await ada.sync.create(path="notes/a.book", json=given, schema=BOOK)
        assert error.value.code == 1004
        for path in ["none.book", "notes"]:
            with pytest.raises(RoomException) as error:
                await ada.sync.open(path=path, create=False)
            assert error.value.code in (1003, 3004)
        # What is no document, and what nothing is known of.
        await ada.storage.upload(path="b.book", data=b"text", overwrite=True)
        for path, code in [("b.book", 1006), ("c.book", 1002)]:
            with pytest.raises(RoomException) as error:
                await ada.sync.open(path=path)
            assert error.value.code == code, error.value
        await ada.storage.delete(path="notes/a.book")
        with pytest.raises(RoomException) as error:
            await ada.sync.describe(path="notes/a.book")
        assert error.value.code == 1003


async def test_what_one_writes_the_others_see_and_it_is_kept(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        one = await ada.sync.open(path="a.book", schema=BOOK, initial_json=book("a"))
        other = await bob.sync.open(path="a.book", schema=BOOK, initial_json=book("b"))
        # Only who makes it says what is in it.
        assert one.root.to_json() == other.root.to_json() == book("a")
        part = one.root.append_child("part", {"about": "é😀"})
        part.append_child("part", {"about": "inner"})
        await until(lambda: "inner" in json.dumps(other.root.to_json()), "the change")
        seen = other.root.get_elements_by_tag_name("part")[1]
        seen.set_attribute("about", {"n": [1, 2.5, None, True]})
        await until(lambda: part.get_attribute("about") == {"n": [1, 2.5, None, True]}, "it")
        other.root.get_children()[0].delete()
        await until(lambda: len(one.root.get_children()) == 1, "the deletion")
        # What is in memory is described, and what is closed is kept.
        await until(lambda: other.root.to_json() == one.root.to_json(), "both")
        await ada.sync.close(path="a.book")
        described = await bob.sync.describe(path="a.book")
        assert described == other.root.to_json()
        await bob.sync.close(path="a.book")
        again = await ada.sync.open(path="a.book", create=False)
        assert again.root.to_json() == described


async def test_text_is_edited_by_two(platform):
    room = new_room()
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob") as bob:
        one = await ada.sync.open(path="a.book", schema=BOOK)
        other = await bob.sync.open(path="a.book", create=False)
        text = one.root.append_child("text").get_children()[0]
        await until(lambda: any(it.get_children() for it in other.root.get_children()), "the text")
        mirrored = other.root.get_children()[0].get_children()[0]
        text.insert(0, "hello world")
        await until(lambda: "hello world" in json.dumps(mirrored.to_json()), "what was written")
        mirrored.delete(0, 6)
        text.format(0, 5, {"bold": True})
        described = {}

        async def settled():
            nonlocal described
            for _ in range(500):
                described = await ada.sync.describe(path="a.book")
                delta = described["book"]["parts"][0]["text"]["content"][0]["text"]["delta"]
                if "".join(part["insert"] for part in delta) == "world":
                    return delta
                await asyncio.sleep(0.01)
            raise AssertionError(described)

        assert "".join(part["insert"] for part in await settled()) == "world"


async def test_ten_writers_end_with_the_same(platform):
    room = new_room()
    drawn = random.Random(20261130)
    writers = [Shared() for _ in range(10)]

    async def write(number, shared):
        async with entered(platform, room, f"writer-{number}") as client:
            running = asyncio.create_task(shared.run(client, "a.book"))
            for _ in range(20):
                await asyncio.sleep(drawn.random() / 50)
                parts = shared.xml.children
                place = drawn.randrange(len(parts) + 1)
                about = {"$id": str(uuid.uuid4()), "about": f"{number}"}
                match drawn.choice(["add", "add", "set", "delete"]):
                    case "set" if place < len(parts):
                        parts[place].attributes["about"] = str(drawn.random())
                    case "delete" if place < len(parts):
                        del parts[place]
                    case _:
                        parts.insert(place, pycrdt.XmlElement("part", about))
            written.release()
            await same.wait()
            shared.sent.put_nowait(None)
            await asyncio.wait_for(running, 10)

    same, written = asyncio.Event(), asyncio.Semaphore(0)
    async with entered(platform, room) as ada, asyncio.TaskGroup() as group:
        await ada.sync.create(path="a.book", schema=BOOK, json=book("first"))
        for number, shared in enumerate(writers):
            group.create_task(write(number, shared))
        for _ in writers:
            await written.acquire()
        await until(lambda: len({it.content() for it in writers}) == 1, "all having the same", 60)
        described = await ada.sync.describe(path="a.book")
        have = [part["part"]["about"] for part in described["book"]["parts"]]
        assert have == [part["part"]["about"] for part in json.loads(writers[0].content())]
        same.set()


async def test_who_may_only_read_reads(platform):
    room = new_room()
    only = ApiScope.full()
    only.sync = SyncGrant(paths=[SyncPathGrant(path="a.*", read_only=True)])
    async with entered(platform, room, "ada") as ada, entered(platform, room, "bob", api=only) as bob:
        with pytest.raises(RoomException) as error:
            await bob.sync.open(path="a.book", schema=BOOK)
        assert error.value.code == 1001
        document = await ada.sync.open(path="a.book", schema=BOOK, initial_json=book("a"))
        read = await bob.sync.open(path="a.book", schema=BOOK)
        # It sends back what it was sent, which is no change.
        document.root.append_child("part", {"about": "b"})
        await until(lambda: len(read.root.get_children()) == 2, "the change")
        read.root.append_child("part", {"about": "c"})
        with pytest.raises(RoomException) as error:
            await bob.sync._document_streams["a.book"].wait()
        assert error.value.code == 1001
        assert await ada.sync.describe(path="a.book") == book("a", "b")
        for path in ["b.book", "ab"]:
            with pytest.raises(RoomException) as error:
                await bob.sync.describe(path=path)
            assert error.value.code == 1001
        with pytest.raises(RoomException) as error:
            await bob.sync.create(path="a.other", schema=BOOK)
        assert error.value.code == 1001


async def test_names_of_documents_say_what_they_contain(platform):
    async with entered(platform, new_room()) as ada:
        thread = await ada.sync.open(path=".threads/a.thread")
        assert bare(thread.schema.to_json()) == bare(thread_schema.to_json())
        await ada.storage.upload(
            path=".schemas/book.json", data=json.dumps(BOOK.to_json()).encode(), overwrite=True
        )
        opened = await ada.sync.open(path="a.book")
        assert opened.root.to_json() == {"book": {"parts": []}}


async def test_a_document_that_is_deleted_ends_for_those_who_have_it_open(platform):
    async with entered(platform, new_room()) as ada:
        await ada.sync.open(path="a.book", schema=BOOK, initial_json=book("a"))
        stream = ada.sync._document_streams["a.book"]
        await ada.storage.delete(path="a.book")
        await asyncio.wait_for(asyncio.wait([stream._task]), 10)
        with pytest.raises(RoomException, match="was deleted") as error:
            await ada.sync.close(path="a.book")
        assert error.value.code == 3001
        again = await ada.sync.open(path="a.book", schema=BOOK)
        assert again.root.to_json() == {"book": {"parts": []}}
