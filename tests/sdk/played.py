"""The toolkits `database` and `memory`, as a room would play them: each command gets an answer that
it can show, whatever is in the room."""

import itertools
import json

WRITING = ("create_table", "insert", "merge")

FIELDS = [
    {"name": "id", "data_type": {"type": "int", "nullable": False, "metadata": None}},
    {"name": "t", "data_type": {"type": "text", "nullable": None, "metadata": None}},
]

ROWS = [
    {"columns": [
        {"name": "id", "value": {"type": "int", "value": 1}},
        {"name": "t", "value": {"type": "text", "value": "ü"}},
    ]},
    {"columns": [{"name": "id", "value": {"type": "int", "value": 2}}]},
]

INGESTED = {
    "name": "m", "stats": {"entities": 1, "relationships": 0, "sources": 1}, "entity_ids": ["a"]
}

ANSWERS = {
    "list_tables": {"tables": ["people", "notes"]},
    "inspect": {"fields": FIELDS},
    "list_versions": {"versions": [
        {"version": 1, "timestamp": "2026-01-01T00:00:00Z", "metadata_json": '{"a": 1}'}
    ]},
    "list_indexes": {"indexes": [{"name": "id_idx", "columns": ["id"], "type": "BTREE"}]},
    "list": {"memories": ["people"]},
    "query": {"results": [{"name": "Ada"}]},
    **{f"ingest_{what}": INGESTED for what in ("text", "image", "file", "from_table", "from_storage")},
    "recall": {"name": "m", "query": "q", "items": [
        {"entity_id": "a", "name": "Ada", "entity_type": "person", "score": 0.5}
    ]},
    "delete_entities": {"name": "m", "deleted_entities": 1, "deleted_relationships": 2},
    "delete_relationships": {"name": "m", "deleted_relationships": 1},
    "optimize": {"name": "m", "datasets": []},
}

DETAILS = {"name": "m", "path": "/m", "datasets": [{"name": "entity", "rows": 1, "columns": ["name"]}]}

EMPTY = {"type": "empty"}
PULL = {"type": "json", "json": {"kind": "pull"}}
CLOSED = {"type": "control", "method": "close", "status_code": 1000}
MISSING = {"type": "error", "text": "there is no such thing", "code": 1003}


class Played:
    """A room's side of the calls of one client. What is called `none` is not there."""

    def __init__(self):
        self.calls = {}
        self.ids = itertools.count(2**40)
        # The ids of messages that ask for more of what the room had ended. Whether a client sends
        # one depends on which is faster.
        self.crossed = set()

    def is_meant(self, id, kind, header):
        if kind == "room.invoke_tool":
            return header["toolkit"] in ("database", "memory")
        return header.get("tool_call_id") in self.calls

    def answers(self, id, kind, header):
        """What the room says to a message, in packets."""
        call = header["tool_call_id"]
        if kind == "room.invoke_tool":
            tool, arguments = header["tool"], header["arguments"]
            if arguments["type"] == "control":
                self.calls[call] = {"tool": tool, "pulls": 0, "is_over": False}
                answer = {"type": "control", "method": "open"}
            elif "none" in (arguments["json"].get("table"), arguments["json"].get("name")):
                answer = MISSING
            elif header["toolkit"] == "memory" and tool == "inspect":
                answer = {"type": "json", "json": DETAILS}
            else:
                known = ANSWERS.get(tool)
                answer = EMPTY if known is None else {"type": "json", "json": known}
            yield from packets(id, "__response__", answer)
            return
        yield from packets(id, "__response__", EMPTY)
        state = self.calls[call]
        if state["is_over"] and header["chunk"] == PULL:
            self.crossed.add(id)
        for chunk in self.chunks(state, header["chunk"]):
            state["is_over"] |= chunk == CLOSED
            told = {"tool_call_id": call, "chunk": chunk}
            yield from packets(next(self.ids), "room.tool_call_response_chunk", told)

    def chunks(self, state, chunk):
        """What follows a part of a stream."""
        if state["is_over"]:
            return
        if chunk["type"] == "control":
            yield CLOSED
        elif chunk["json"]["kind"] == "start" and "none" in chunk["json"].values():
            yield from (MISSING, CLOSED)
        elif state["tool"] in WRITING:
            yield PULL
        elif chunk["json"]["kind"] == "pull":
            state["pulls"] += 1
            if state["pulls"] <= len(ROWS):
                rows = ROWS[state["pulls"] - 1 : state["pulls"]]
                yield {"type": "json", "json": {"kind": "rows", "rows": rows}}
            else:
                yield CLOSED


def packets(id, kind, header):
    """A message in packets of 1 KiB."""
    text = json.dumps(header).encode()
    payload = len(text).to_bytes(8, "big") + text
    slices = [payload[at : at + 1024] for at in range(0, len(payload), 1024)]
    number = id.to_bytes(8, "big")
    yield number + bytes(4) + len(slices).to_bytes(4, "big") + kind.encode()
    for place, slice in enumerate(slices, start=1):
        yield number + place.to_bytes(4, "big") + slice
