"""A proxy before the rooms of a platform, which records what clients send."""

import asyncio
import contextlib
import dataclasses
import json

import aiohttp
from aiohttp import web


@dataclasses.dataclass(frozen=True)
class Sent:
    """A message of a client: its type, its header and the bytes behind that."""

    kind: str
    header: dict
    payload: bytes = b""


class Recorder:
    """Passes on what clients and rooms send to each other. It passes on no headers, so that
    nobody agrees on larger slices than 1 KiB. What is for toolkits that are played here does not
    reach the room."""

    def __init__(self, platform, played=None):
        self.platform = platform
        self.played = played
        self.packets = []
        self.ways = []

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_get("/rooms/{room}", self.pass_on)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"ws://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()
        await self.session.close()

    async def pass_on(self, request):
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        url = f"{self.platform}/rooms/{request.match_info['room']}"
        async with self.session.ws_connect(url, params=request.query, max_msg_size=0) as room:

            async def answers():
                # A client that has left hears no more.
                with contextlib.suppress(ConnectionResetError):
                    async for message in room:
                        await client.send_bytes(message.data)
                await client.close()

            answering = asyncio.create_task(answers())
            kept = []
            async for message in client:
                assert message.type is aiohttp.WSMsgType.BINARY, message
                self.packets.append(message.data)
                kept.append(message.data)
                if len(kept) <= int.from_bytes(kept[0][12:16], "big"):
                    continue
                if self.played and self.played.is_meant(*read(kept)):
                    for packet in self.played.answers(*read(kept)):
                        await client.send_bytes(packet)
                else:
                    for packet in kept:
                        await room.send_bytes(packet)
                kept = []
            query = {**request.query, "token": f"{request.query['token'].count('.') + 1} parts"}
            self.ways.append((query, client.close_code))
            await room.close()
            await answering
        return client

    def messages(self, names):
        """What was sent, with names instead of ids, and without what is for tracing."""
        calls = {}
        messages = []
        for number, (id, kind, payload) in enumerate(joined(self.packets), start=1):
            assert id == number, f"message {number} has the id {id}"
            if self.played and id in self.played.crossed:
                continue
            length = int.from_bytes(payload[:8], "big")
            text = payload[8 : 8 + length].decode()
            for known, name in names.items():
                text = text.replace(known, name)
            header = json.loads(text)
            header.pop("__meshagent__", None)
            header = spelled_out(header)
            if "tool_call_id" in header:
                call = header["tool_call_id"]
                assert len(call) == 32 and int(call, 16) >= 0, call
                header["tool_call_id"] = calls.setdefault(call, f"call {len(calls) + 1}")
            messages.append(Sent(kind, header, payload[8 + length :]))
        return messages


def spelled_out(value):
    """A value with the JSON that is a text in it, which can be spelled in several ways."""
    match value:
        case dict():
            return {
                key: json.loads(it) if key.endswith("_json") and isinstance(it, str) else spelled_out(it)
                for key, it in value.items()
            }
        case list():
            return [spelled_out(it) for it in value]
        case _:
            return value


def read(packets):
    """The id, the kind and the header of a message."""
    ((id, kind, payload),) = joined(packets)
    length = int.from_bytes(payload[:8], "big")
    return id, kind, json.loads(payload[8 : 8 + length])


def joined(packets):
    """Puts packets together to messages: id, type and payload."""
    packets = iter(packets)
    for first in packets:
        id, number, count = first[:8], first[8:12], int.from_bytes(first[12:16], "big")
        assert number == bytes(4), first
        slices = []
        for expected in range(1, count + 1):
            packet = next(packets)
            assert packet[:12] == id + expected.to_bytes(4, "big"), packet[:12]
            assert len(packet) <= 12 + 1024
            slices.append(packet[12:])
        yield int.from_bytes(id, "big"), first[16:].decode(), b"".join(slices)


def by_call(messages):
    """The messages of each call, in no order among the calls."""
    calls = {}
    for message in messages:
        header = dict(message.header)
        calls.setdefault(header.pop("tool_call_id"), []).append(
            dataclasses.replace(message, header=header)
        )
    return sorted(calls.values(), key=repr)


def asked(messages):
    """The tools that were called at once, and with what."""
    return [
        (message.header["tool"], message.header["arguments"].get("json"))
        for message in messages
        if message.kind == "room.invoke_tool"
    ]
