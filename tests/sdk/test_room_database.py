"""Tables of rooms, as participants of the public SDK use them."""

import asyncio
import datetime
import inspect
import uuid

import pytest
from meshagent.agents.images_database import ImagesDatabase
from meshagent.api.participant_token import ApiScope, DatabaseGrant, TableGrant
from meshagent.api.room_server_client import (
    BinaryDataType,
    BoolDataType,
    DatabaseClient,
    DateDataType,
    FloatDataType,
    IntDataType,
    ListDataType,
    RoomException,
    SqlTableReference,
    StructDataType,
    TextDataType,
    TimestampDataType,
    VectorDataType,
)
from meshagent.tools import ToolContext
from meshagent.tools.database import DatabaseToolkit

from rooms import entered

DATABASE = ApiScope(database=DatabaseGrant())

EVERY_TYPE = {
    "i": IntDataType(nullable=False),
    "b": BoolDataType(),
    "f": FloatDataType(),
    "t": TextDataType(metadata={"unit": "words"}),
    "y": BinaryDataType(),
    "d": DateDataType(),
    "s": TimestampDataType(),
    "v": VectorDataType(size=3, element_type=FloatDataType()),
    "l": ListDataType(element_type=TextDataType()),
    "o": StructDataType(fields={"x": IntDataType(), "y": TextDataType()}),
}


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


async def refused(call):
    with pytest.raises(RoomException) as error:
        await call
    return error.value


async def rows(database, table, **more):
    return await database.search(table=table, **more)


async def test_a_fresh_room_has_no_tables(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        assert await room.database.list_tables() == []
        assert await room.database.list_tables(namespace=["a"]) == []
        missing = await refused(room.database.inspect(table="t"))
        assert missing.code == 1003 and "t" in str(missing)


async def test_every_type_comes_back_as_it_went(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_with_schema(
            name="t", schema=EVERY_TYPE, metadata={"a": "b"}
        )
        schema = await database.inspect(table="t")
        assert list(schema) == list(EVERY_TYPE)
        for name, given in EVERY_TYPE.items():
            shown, wanted = (
                it.model_dump(exclude_none=True) for it in (schema[name], given)
            )
            assert shown["type"] == wanted["type"]
            assert shown.get("nullable") == wanted.get("nullable")
        assert schema["t"].metadata == {"unit": "words"}
        assert schema["v"].size == 3
        full = {
            "i": -(2**63),
            "b": False,
            "f": 0.1,
            "t": "ä\x00\n\"'`$x; DROP TABLE t --",
            "y": bytes(range(256)),
            "d": "2026-11-30",
            "s": "2026-11-30T12:00:00.000001Z",
            "v": [0.5, -1.25, 3.0],
            "l": ["a", "", "ß"],
            "o": {"x": 1, "y": "z"},
        }
        empty = {name: None for name in EVERY_TYPE} | {"i": 1}
        await database.insert(table="t", records=[full, empty, {"i": 2}])
        first, second, third = await rows(database, "t")
        assert first == full
        assert second == empty and third == empty | {"i": 2}
        # What a client writes by its own types is made what the column has.
        loose = {
            "i": 3.0,
            "f": 7,
            "d": datetime.date(2026, 1, 2),
            "s": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
            "v": [1, 2, 3],
        }
        await database.insert(table="t", records=[loose])
        (shown,) = await rows(database, "t", where={"i": 3})
        assert shown["f"] == 7.0 and shown["d"] == "2026-01-02"
        assert shown["s"] == "2026-01-02T03:04:05Z" and shown["v"] == [1.0, 2.0, 3.0]
        for wrong, why in [
            ({"i": None}, "null"),
            ({}, "null"),
            ({"i": 1, "nope": 2}, "nope"),
            ({"i": "x"}, "int"),
            ({"i": 1, "v": [1.0]}, "vector"),
            ({"i": 1, "s": "soon"}, "timestamp"),
        ]:
            told = await refused(database.insert(table="t", records=[wrong]))
            assert told.code == 1002 and why in str(told), (wrong, told)
        assert await database.count(table="t") == 4


async def test_modes_of_creation(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_from_data(
            name="t", data=[{"id": 1, "name": "a"}, {"id": 2, "name": None}]
        )
        assert {
            name: kind.type
            for name, kind in (await database.inspect(table="t")).items()
        } == {"id": "int", "name": "text"}
        told = await refused(
            database.create_table_from_data(name="t", data=[{"id": 1}])
        )
        assert told.code == 1004
        await database.create_table_from_data(
            name="t", data=[{"id": 9}], mode="create_if_not_exists"
        )
        assert await database.count(table="t") == 2
        await database.create_table_from_data(
            name="t", data=[{"id": 9}], mode="overwrite"
        )
        assert await rows(database, "t") == [{"id": 9}]
        told = await refused(
            database.create_table_with_schema(
                name="t", schema={"id": IntDataType()}, mode="replace"
            )
        )
        assert told.code == 1002 and "replace" in str(told)

        async def chunks():
            for start in range(0, 1000, 100):
                yield [{"id": start + index} for index in range(100)]

        await database.create_table_from_data_stream(
            name="stream", chunks=chunks(), schema={"id": IntDataType()}
        )
        assert await database.count(table="stream") == 1000
        assert await database.list_tables() == ["stream", "t"]
        await database.drop_table(name="t")
        told = await refused(database.drop_table(name="t"))
        assert told.code == 1003
        await database.drop_table(name="t", ignore_missing=True)
        assert await database.list_tables() == ["stream"]


async def test_namespaces_keep_tables_apart(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        for namespace in (None, ["a"], ["a", "b"], ["a/b"]):
            await database.create_table_from_data(
                name="t", data=[{"at": str(namespace)}], namespace=namespace
            )
        for namespace in (None, ["a"], ["a", "b"], ["a/b"]):
            assert await database.list_tables(namespace=namespace) == ["t"]
            shown = await rows(database, "t", namespace=namespace)
            assert shown == [{"at": str(namespace)}]
        joined = await database.sql(
            query="SELECT x.at AS x, y.at AS y FROM x, y",
            tables=[
                SqlTableReference(name="t", namespace=["a"], alias="x"),
                SqlTableReference(name="t", namespace=["a", "b"], alias="y"),
            ],
        )
        assert joined == [{"x": "['a']", "y": "['a', 'b']"}]


async def test_rows_are_changed_merged_and_deleted(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_from_data(
            name="t",
            data=[{"id": index, "name": f"n{index}", "n": 1.5} for index in range(5)],
        )
        await database.update(
            table="t", where="id = 2", values={"name": "it's \"x\"", "n": 2}
        )
        assert await rows(database, "t", where={"name": "it's \"x\""}) == [
            {"id": 2, "name": "it's \"x\"", "n": 2.0}
        ]
        await database.update(
            table="t",
            where="id >= 3 AND name LIKE 'n%'",
            values_sql={"n": "n * 2 + id", "name": "upper(name)"},
        )
        assert await rows(database, "t", where="id = 4") == [
            {"id": 4, "name": "N4", "n": 7.0}
        ]
        await database.merge(
            table="t",
            on="id",
            records=[{"id": 0, "name": "zero", "n": 0}, {"id": 9, "name": "nine"}],
        )
        assert await rows(database, "t", where="id IN (0, 9)") == [
            {"id": 0, "name": "zero", "n": 0.0},
            {"id": 9, "name": "nine", "n": None},
        ]

        async def more():
            yield [{"id": 10, "name": "ten"}]
            yield [{"id": 9, "name": "NINE"}]

        await database.merge_stream(table="t", on="id", chunks=more())
        assert await database.count(table="t") == 7
        await database.delete(table="t", where="name = \"NINE\" OR id = 10")
        assert await database.count(table="t") == 5
        await database.insert_stream(table="t", chunks=[[{"id": 20}], [{"id": 21}]])
        assert await database.count(table="t", where={"name": "zero"}) == 1
        # The SDK's own tool sends a dictionary as it is.
        await database.delete(table="t", where={"id": 20, "name": None})
        assert await database.count(table="t", where="id = 20") == 1
        await database.delete(table="t", where={"id": 20})
        assert await database.count(table="t", where="id = 20") == 0
        told = await refused(database.delete(table="t", where=None))
        assert told.code == 1002 and "true" in str(told)
        for where in ("", "id =", "nope = 1", "id = 1; DROP TABLE t", "(SELECT 1)"):
            told = await refused(database.delete(table="t", where=where))
            assert told.code in (1002, 1003), where
        assert await database.count(table="t") == 6


async def test_search_by_filter_text_vector_and_both(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_with_schema(
            name="t",
            schema={
                "id": IntDataType(),
                "body": TextDataType(),
                "v": VectorDataType(size=2, element_type=FloatDataType()),
            },
            data=[
                {"id": 1, "body": "a red fox", "v": [0, 0]},
                {"id": 2, "body": "a blue whale", "v": [3, 4]},
                {"id": 3, "body": "red red wine", "v": [1, 0]},
                {"id": 4, "body": None, "v": None},
            ],
        )
        shown = await rows(database, "t", select=["id"], where="id > 1", limit=2)
        assert shown == [{"id": 2}, {"id": 3}]
        shown = await rows(database, "t", select=["id"], offset=1, limit=1)
        assert shown == [{"id": 2}]
        near = await rows(database, "t", vector=[0.0, 0.0], select=["id"])
        assert [row["id"] for row in near] == [1, 3, 2]
        assert [row["_distance"] for row in near] == [0.0, 1.0, 25.0]
        told = await refused(rows(database, "t", text="red"))
        assert told.code == 1003 and "full-text" in str(told)
        await database.create_full_text_search_index(table="t", column="body")
        found = await rows(database, "t", text="red \" OR *", select=["id", "body"])
        assert [row["id"] for row in found] == [3, 1]
        assert found[0]["_score"] > found[1]["_score"] > 0
        both = await rows(database, "t", text="whale", vector=[0.0, 0.0], limit=2)
        assert len(both) == 2 and all(row["_relevance_score"] > 0 for row in both)
        assert await database.count(table="t", text="red") == 2
        await database.insert(table="t", records=[{"id": 5, "body": "red again"}])
        await database.delete(table="t", where="id = 3")
        found = await rows(database, "t", text="red")
        assert sorted(row["id"] for row in found) == [1, 5]
        told = await refused(rows(database, "t", vector=[1.0]))
        assert told.code == 1002
        told = await refused(rows(database, "t", select=["nope"]))
        assert told.code == 1003 and "nope" in str(told)


async def test_queries_join_group_and_take_parameters(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_from_data(
            name="people",
            data=[{"id": index, "name": f"p{index}"} for index in range(4)],
        )
        await database.create_table_from_data(
            name="orders",
            data=[
                {"person": index % 3, "price": index * 1.5, "at": f"2026-01-0{index}"}
                for index in range(1, 7)
            ],
        )
        shown = await database.sql(
            query="""
                SELECT p.name, count(*) AS n, sum(o.price) AS "Sum"
                FROM people p LEFT JOIN orders o ON o.person = p.id AND o.price > $least
                GROUP BY p.name HAVING count(*) >= $some
                ORDER BY "Sum" DESC NULLS LAST, p.name LIMIT 3
            """,
            tables=["people", SqlTableReference(name="orders")],
            params={"least": 2, "some": 1, "unused": None},
        )
        assert shown == [
            {"name": "p0", "n": 2, "Sum": 13.5},
            {"name": "p2", "n": 2, "Sum": 10.5},
            {"name": "p1", "n": 1, "Sum": 6.0},
        ]
        shown = await database.sql(query="SELECT 1 AS one, 'a' AS a, true AS yes", tables=["people"])
        assert shown == [{"one": 1, "a": "a", "yes": True}]
        for query, why in [
            ("SELECT * FROM secrets", "secrets"),
            ("DELETE FROM people", "SELECT"),
            ("SELECT 1; SELECT 2", "ended"),
            ("SELECT name FROM people WHERE id = $missing", "missing"),
            ("SELECT load_extension('x')", "load_extension"),
            ("PRAGMA writable_schema = 1", ""),
            ("SELECT * FROM sqlite_master", "sqlite_master"),
            ('SELECT "nope" FROM people', "nope"),
        ]:
            told = await refused(database.sql(query=query, tables=["people"]))
            assert told.code in (1002, 1003), (query, told)
            assert why.lower() in str(told).lower(), (query, told)
        batches = [
            batch
            async for batch in database.sql_stream(
                query="SELECT a.id FROM people a, people b, orders c, orders d",
                tables=["people", "orders"],
            )
        ]
        assert sum(map(len, batches)) == 4 * 4 * 6 * 6 and len(batches) > 1


async def test_versions_are_listed_read_and_restored(platform):
    async with (
        entered(platform, new_room(), api=DATABASE) as room,
    ):
        database = room.database
        await database.create_table_from_data(name="t", data=[{"id": 1}])
        await database.insert(table="t", records=[{"id": 2}])
        await database.add_columns(table="t", new_columns={"x": "id * 10"})
        await database.delete(table="t", where="id = 1")
        versions = await database.list_versions(table="t")
        numbers = [version.version for version in versions]
        assert numbers == sorted(numbers) and len(numbers) == 4
        assert all(version.timestamp.tzinfo is not None for version in versions)
        await database.checkout(table="t", version=numbers[1])
        assert await rows(database, "t") == [{"id": 1}, {"id": 2}]
        assert list(await database.inspect(table="t")) == ["id"]
        told = await refused(database.insert(table="t", records=[{"id": 3}]))
        assert told.code == 1006 and "restore" in str(told)
        await database.checkout(table="t", version=numbers[-1])
        assert await rows(database, "t") == [{"id": 2, "x": 20}]
        await database.restore(table="t", version=numbers[2])
        assert await rows(database, "t") == [{"id": 1, "x": 10}, {"id": 2, "x": 20}]
        await database.insert(table="t", records=[{"id": 3}])
        assert len(await database.list_versions(table="t")) == 6
        told = await refused(database.restore(table="t", version=99))
        assert told.code == 1003
        await database.optimize(table="t")
        assert await database.count(table="t") == 3


async def test_columns_and_indexes_come_and_go(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        database = room.database
        await database.create_table_with_schema(
            name="t",
            schema={
                "id": IntDataType(),
                "body": TextDataType(),
                "v": VectorDataType(size=128, element_type=FloatDataType()),
            },
        )
        # Agents make all of them on tables that are still empty.
        await database.create_vector_index(table="t", column="v", replace=True)
        await database.create_full_text_search_index(
            table="t", column="body", replace=True
        )
        await database.create_scalar_index(table="t", column="id", replace=True)
        await database.optimize(table="t")
        indexes = {index.name: index for index in await database.list_indexes(table="t")}
        assert set(indexes) == {"id_idx", "body_idx", "v_idx"}
        assert indexes["id_idx"].columns == ["id"]
        told = await refused(database.create_scalar_index(table="t", column="id"))
        assert told.code == 1004
        await database.insert(
            table="t",
            records=[
                {"id": index, "body": f"word{index}", "v": [index] * 128}
                for index in range(1000)
            ],
        )
        (nearest,) = await rows(database, "t", vector=[7.0] * 128, limit=1)
        assert nearest["id"] == 7
        await database.drop_index(table="t", name="v_idx")
        told = await refused(database.drop_index(table="t", name="v_idx"))
        assert told.code == 1003
        await database.add_columns(
            table="t",
            new_columns={"email": "'hello'", "ok": "true", "n": IntDataType()},
        )
        (row,) = await rows(database, "t", where="id = 3", select=["email", "ok", "n"])
        assert row == {"email": "hello", "ok": True, "n": None}
        await database._alter_columns(table="t", columns={"id": FloatDataType()})
        assert (await database.inspect(table="t"))["id"].type == "float"
        await database.drop_columns(table="t", columns=["email", "v"])
        assert list(await database.inspect(table="t")) == ["id", "body", "ok", "n"]
        told = await refused(database.drop_columns(table="t", columns=["email"]))
        assert told.code == 1002 or told.code == 1003


async def test_what_a_scope_leaves_out_is_denied(platform):
    room = new_room()
    reader = ApiScope(
        database=DatabaseGrant(
            tables=[
                TableGrant(name="t"),
                TableGrant(name="u", namespace=["a"]),
                TableGrant(name="poeple"),
            ],
            list_tables=False,
        )
    )
    async with (
        entered(platform, room, "ada", api=DATABASE) as ada,
        entered(platform, room, "bob", api=reader) as bob,
    ):
        await ada.database.create_table_from_data(name="t", data=[{"id": 1}])
        await ada.database.create_table_from_data(name="u", data=[{"id": 2}])
        assert await bob.database.search(table="t") == [{"id": 1}]
        for call in (
            bob.database.list_tables(),
            bob.database.search(table="u"),
            bob.database.insert(table="t", records=[{"id": 2}]),
            bob.database.merge(table="t", on="id", records=[{"id": 2}]),
            bob.database.update(table="t", where="true", values={"id": 2}),
            bob.database.delete(table="t", where="true"),
            bob.database.drop_table(name="t"),
            bob.database.create_table_from_data(name="t", data=[], mode="overwrite"),
            bob.database.add_columns(table="t", new_columns={"x": "1"}),
            bob.database.create_scalar_index(table="t", column="id"),
            bob.database.optimize(table="t"),
            bob.database.checkout(table="t", version=1),
            bob.database.restore(table="t", version=1),
            bob.database.sql(query="SELECT * FROM u", tables=["t", "u"]),
        ):
            told = await refused(call)
            assert told.code == 1001
            assert "you do not have permission to perform the requested action" in str(told)
        # A table that is near is named to those who may see it.
        await ada.database.create_table_from_data(name="people", data=[{"id": 1}])
        told = await refused(ada.database.count(table="poeple"))
        assert told.code == 1003 and "did you mean people?" in str(told)
        told = await refused(bob.database.count(table="poeple"))
        assert told.code == 1003 and "people" not in str(told)
        # A table that is not named is not there, whatever the query says.
        told = await refused(bob.database.sql(query="SELECT * FROM u", tables=["t"]))
        assert told.code == 1003


async def test_many_writers_lose_nothing(platform):
    room = new_room()
    async with (
        entered(platform, room, "ada", api=DATABASE) as ada,
        entered(platform, room, "bob", api=DATABASE) as bob,
    ):
        await ada.database.create_table_with_schema(
            name="t", schema={"who": TextDataType(), "n": IntDataType()}
        )

        async def write(client, who):
            for n in range(20):
                await client.database.insert(table="t", records=[{"who": who, "n": n}])

        await asyncio.gather(
            *(write(client, f"{who}{k}") for client, who in ((ada, "a"), (bob, "b")) for k in range(3))
        )
        assert await bob.database.count(table="t") == 120
        counted = await ada.database.sql(
            query="SELECT who, count(DISTINCT n) AS n FROM t GROUP BY who ORDER BY who",
            tables=["t"],
        )
        assert counted == [
            {"who": f"{who}{k}", "n": 20} for who in "ab" for k in range(3)
        ]


async def test_the_tables_and_the_images_of_agents_work(platform):
    async with entered(platform, new_room(), api=DATABASE) as room:
        images = ImagesDatabase(room=room)
        saved = await images.save(
            data=b"\x00\xff" * 1000,
            mime_type="image/png",
            created_by="ada",
            annotations={"k": "v"},
        )
        assert await images.read(image_id=saved.id) is not None
        assert (await images.read(image_id=saved.id)).annotations == {"k": "v"}
        assert await images.read_data(image_id=saved.id) == b"\x00\xff" * 1000
        assert [one.id for one in await images.search(where={"created_by": "ada"})] == [saved.id]
        assert [one.id for one in await images.search(where="mime_type = 'image/png'", limit=5)] == [saved.id]
        await images.optimize()

        schema = {"id": IntDataType(), "name": TextDataType()}
        await room.database.create_table_with_schema(name="users", schema=schema)
        toolkit = DatabaseToolkit(tables={"users": schema})
        context = ToolContext(room=room, caller=room.local_participant)

        async def call(name, **arguments):
            (tool,) = [tool for tool in toolkit.tools if tool.name == name]
            return await tool.execute(context, **arguments)

        names = {tool.name for tool in toolkit.tools}
        await call("insert_users_rows", rows=[{"id": 1, "name": "Alice"}, {"id": 2, "name": "Bob"}])
        await call("update_users_rows", where="name = 'Bob'", values=[{"name": "Bea"}])
        searches = [name for name in names if "search" in name]
        deletes = [name for name in names if "delete" in name]
        shown = await call(searches[0], where="id = 2")
        assert shown["rows"] == [{"id": 2, "name": "Bea"}]
        counts = [name for name in names if "count" in name]
        counted = await call(counts[0], query={"id": 1, "name": None})
        assert counted["rows"] == 1
        await call(deletes[0], where='name = "Alice"')
        assert await room.database.count(table="users") == 1


def test_every_method_of_the_client_is_called_above():
    public = [
        name
        for name, it in inspect.getmembers(DatabaseClient, inspect.isfunction)
        if not name.startswith("_")
    ]
    source = open(__file__).read()
    left = [name for name in public if f".{name}(" not in source and name != "search_stream"]
    # `search` is `search_stream` in one list.
    assert left == []
