"""Memories of rooms, as participants of the public SDK use them."""

import inspect
import uuid

import pytest
from meshagent.api.participant_token import (
    ApiScope,
    DatabaseGrant,
    MemoryEntryGrant,
    MemoryGrant,
    MemoryPermissions,
    StorageGrant,
)
from meshagent.api.room_server_client import (
    MemoryClient,
    MemoryEntityRecord,
    MemoryRelationshipRecord,
    MemoryRelationshipSelector,
    RoomException,
)
from meshagent.tools import ToolContext
from meshagent.tools.memories import MemoriesToolkit

from rooms import entered

MEMORY = ApiScope(memory=MemoryGrant(), database=DatabaseGrant(), storage=StorageGrant())


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


async def refused(call):
    with pytest.raises(RoomException) as error:
        await call
    return error.value


ADA = MemoryEntityRecord(
    entity_id="ada",
    name="Ada Lovelace",
    entity_type="Person",
    context="She wrote the first program.",
    confidence=0.9,
    created_at="2026-01-01T00:00:00Z",
    valid_at="1843-01-01",
    metadata={"born": "1815"},
)
ENGINE = MemoryEntityRecord(
    entity_id="engine", name="Analytical Engine", entity_type="Machine"
)
WROTE_FOR = MemoryRelationshipRecord(
    source_entity_id="ada",
    target_entity_id="engine",
    relationship_type="WROTE_FOR",
    description="notes",
)


async def test_memories_are_made_listed_and_dropped(platform):
    async with entered(platform, new_room(), api=MEMORY) as room:
        memory = room.memory
        assert await memory.list() == []
        for call in (
            memory.inspect(name="m"),
            memory.query(name="m", statement="MATCH (e) RETURN e.name LIMIT 1"),
            memory.drop(name="m"),
            memory.recall(name="m", query="x"),
        ):
            told = await refused(call)
            assert told.code == 2001 and "memory does not exist:" in str(told).lower()
        await memory.drop(name="m", ignore_missing=True)
        await memory.create(name="m")
        assert (await refused(memory.create(name="m"))).code == 2002
        await memory.upsert_nodes(name="m", records=[ADA])
        await memory.create(name="m", ignore_exists=True)
        details = await memory.inspect(name="m")
        assert details.name == "m" and details.path
        rows = {dataset.name: dataset.rows for dataset in details.datasets}
        assert rows == {"Entity": 1, "RELATIONSHIP": 0}
        columns = {dataset.name: dataset.columns for dataset in details.datasets}
        assert {"entity_id", "name", "entity_type", "context"} <= set(columns["Entity"])
        await memory.create(name="m", overwrite=True)
        details = await memory.inspect(name="m")
        assert all(dataset.rows == 0 for dataset in details.datasets)
        await memory.create(name="m", namespace=["a", "b"])
        assert await memory.list() == ["m"]
        assert await memory.list(namespace=["a", "b"]) == ["m"]
        await memory.drop(name="m")
        assert await memory.list() == []


async def test_records_are_merged_asked_and_deleted(platform):
    async with entered(platform, new_room(), api=MEMORY) as room:
        memory = room.memory
        await memory.create(name="m")
        empty = await memory.query(
            name="m", statement="MATCH (e:Entity) RETURN e.name AS name LIMIT 5"
        )
        assert empty == []
        await memory.upsert_nodes(name="m", records=[ADA, ENGINE])
        await memory.upsert_relationships(name="m", records=[WROTE_FOR])
        # What a record does not say stays.
        await memory.upsert_nodes(
            name="m",
            records=[MemoryEntityRecord(entity_id="ada", name="Ada", entity_type="Person")],
        )
        rows = await memory.query(
            name="m",
            statement="""
                MATCH (e:Entity) WHERE e.entity_type = 'Person' OR e.name CONTAINS 'it\\'s'
                RETURN e.entity_id AS entity_id, e.name AS name, e.context AS memory,
                       e.confidence AS confidence, e.nothing AS nothing
                ORDER BY e.valid_at DESC, e.created_at DESC, e.name LIMIT 10
            """,
        )
        assert rows == [
            {
                "entity_id": "ada",
                "name": "Ada",
                "memory": "She wrote the first program.",
                "confidence": 0.9,
                "nothing": None,
            }
        ]
        rows = await memory.query(
            name="m",
            statement="MATCH (r:RELATIONSHIP) WHERE (r.source_entity_id = 'ada' OR r.target_entity_id = 'ada') RETURN r.relationship_type AS t, r.description LIMIT 3",
        )
        assert rows == [{"t": "WROTE_FOR", "r.description": "notes"}]
        await memory.upsert_table(
            name="m", table="notes", records=[{"id": "1", "text": "x"}, {"id": "2"}]
        )
        await memory.upsert_table(name="m", table="notes", records=[{"id": "1", "text": "y"}])
        rows = await memory.query(
            name="m", statement="MATCH (n:notes) RETURN n.id AS id, n.text AS text ORDER BY n.id LIMIT 9"
        )
        assert rows == [{"id": "1", "text": "y"}, {"id": "2", "text": None}]
        for statement in (
            "CREATE (e:Entity {name: 'x'})",
            "MATCH (e) DELETE e",
            "MATCH (e RETURN e",
            "",
        ):
            told = await refused(memory.query(name="m", statement=statement))
            assert told.code == 1002, (statement, told)
        recalled = await memory.recall(name="m", query="who wrote the program? \" OR *")
        assert recalled.items[0].entity_id == "ada"
        assert recalled.items[0].relationships[0].target_entity_id == "engine"
        bare = await memory.recall(
            name="m", query="program", limit=1, include_relationships=False
        )
        assert len(bare.items) == 1 and bare.items[0].relationships == []
        gone = await memory.delete_relationships(
            name="m",
            relationships=[
                MemoryRelationshipSelector(source_entity_id="ada", target_entity_id="engine")
            ],
        )
        assert gone.deleted_relationships == 1
        await memory.upsert_relationships(name="m", records=[WROTE_FOR])
        gone = await memory.delete_entities(name="m", entity_ids=["ada", "nobody"])
        assert (gone.deleted_entities, gone.deleted_relationships) == (1, 1)
        tidied = await memory.optimize(name="m")
        assert {one.dataset for one in tidied.datasets} >= {"Entity", "RELATIONSHIP"}


async def test_texts_files_images_and_tables_are_taken_in(platform):
    async with entered(platform, new_room(), api=MEMORY) as room:
        memory = room.memory
        await memory.create(name="m")
        text = "Ada Lovelace met Charles Babbage in London. Write to ada@example.com."
        first = await memory.ingest_text(name="m", text=text)
        assert first.stats.sources == 1 and first.stats.entities >= 3
        assert len(first.entity_ids) >= 3
        again = await memory.ingest_text(name="m", text=text)
        assert again.stats.entities == 0 and again.entity_ids == first.entity_ids
        found = await memory.recall(name="m", query="Babbage")
        assert found.items[0].name == "Charles Babbage"
        image = await memory.ingest_image(
            name="m",
            caption="A portrait of Grace Hopper",
            data=b"\x89PNG",
            mime_type="image/png",
            source="portrait.png",
            annotations={"year": "1984"},
        )
        assert image.stats.sources == 1 and image.entity_ids
        await room.storage.upload(path="notes/a.md", data=b"# Katherine Johnson\n\nShe worked at NASA.")
        stored = await memory.ingest_from_storage(name="m", paths=["room://notes/a.md"])
        assert stored.stats.sources == 1 and stored.stats.entities >= 1
        one = await memory.ingest_file(name="m", path="notes/a.md")
        assert one.stats.sources == 1 and one.stats.entities == 0
        given = await memory.ingest_file(name="m", text="Alan Turing", mime_type="text/plain")
        assert given.stats.entities >= 1
        missing = await refused(memory.ingest_from_storage(name="m", paths=["none.md"]))
        assert missing.code == 3001
        await room.database.create_table_from_data(
            name="people", data=[{"id": 1, "bio": "Edsger Dijkstra lived in Austin"}]
        )
        rows = await memory.ingest_from_table(name="m", table="people", text_columns=["bio"], limit=5)
        assert rows.stats.sources == 1 and rows.stats.entities >= 1
        model = await refused(memory.ingest_text(name="m", text=text, strategy="llm", llm_model="x"))
        assert model.code == 1007


async def test_what_a_scope_leaves_out_is_denied(platform):
    room = new_room()
    narrow = ApiScope(
        memory=MemoryGrant(
            list=False,
            memories=[
                MemoryEntryGrant(
                    name="m",
                    permissions=MemoryPermissions(
                        create=False, drop=False, upsert=False, ingest=False, optimize=False
                    ),
                )
            ],
        )
    )
    async with (
        entered(platform, room, "ada", api=MEMORY) as ada,
        entered(platform, room, "bob", api=narrow) as bob,
    ):
        await ada.memory.create(name="m")
        await ada.memory.create(name="other")
        await bob.memory.inspect(name="m")
        await bob.memory.recall(name="m", query="x")
        for call in (
            bob.memory.list(),
            bob.memory.inspect(name="other"),
            bob.memory.create(name="m", overwrite=True),
            bob.memory.drop(name="m"),
            bob.memory.upsert_nodes(name="m", records=[ADA]),
            bob.memory.ingest_text(name="m", text="x"),
            bob.memory.ingest_from_table(name="m", table="t"),
            bob.memory.ingest_from_storage(name="m", paths=["a"]),
            bob.memory.delete_entities(name="m", entity_ids=["x"]),
            bob.memory.optimize(name="m"),
        ):
            told = await refused(call)
            assert told.code == 1001
            assert "you do not have permission to perform the requested action" in str(told)


async def test_the_memory_tools_of_agents_work(platform):
    async with entered(platform, new_room(), api=MEMORY) as room:
        toolkit = MemoriesToolkit(memory_name="graph", namespace=["agents"])
        context = ToolContext(room=room, caller=room.local_participant)

        async def call(name, **arguments):
            (tool,) = [tool for tool in toolkit.tools if tool.name == name]
            return await tool.execute(context, **arguments)

        names = {tool.name for tool in toolkit.tools}
        # Without a model there is nothing that reads texts as it does; the room says so.
        told = await refused(call("add_memory", memory="Ada met Bob"))
        assert told.code == 1007
        await room.memory.create(name="graph", namespace=["agents"], ignore_exists=True)
        await room.memory.upsert_nodes(name="graph", namespace=["agents"], records=[ADA, ENGINE])
        await room.memory.upsert_relationships(
            name="graph", namespace=["agents"], records=[WROTE_FOR]
        )
        searches = [name for name in names if name.startswith("search")]
        found = await call(searches[0], query="Ada")
        assert "ada" in str(found)
        for name in names:
            if "recent" in name:
                arguments = {"limit": 5}
                tool = next(tool for tool in toolkit.tools if tool.name == name)
                for required in tool.input_schema["required"]:
                    arguments.setdefault(required, None)
                assert "ada" in str(await call(name, **arguments)), name
        gets = [name for name in names if name == "get_entity"]
        assert "Ada Lovelace" in str(await call(gets[0], entity_id="ada"))
        await call("delete_entity", entity_id="ada")
        assert (await call(gets[0], entity_id="ada")) != ADA


def test_every_method_of_the_client_is_called_above():
    public = [
        name
        for name, it in inspect.getmembers(MemoryClient, inspect.isfunction)
        if not name.startswith("_")
    ]
    source = open(__file__).read()
    assert [name for name in public if f".{name}(" not in source] == []
