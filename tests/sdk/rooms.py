"""Participants of the public SDK in a room of the embedded platform."""

import asyncio
import contextlib

from meshagent.api.participant_token import ApiScope, ParticipantToken
from meshagent.api.room_server_client import RoomClient
from meshagent.api.websocket_protocol import WebSocketClientProtocol


def room_url(platform, room):
    return f"{platform.url.replace('http', 'ws', 1)}/rooms/{room}"


def signed(platform, room, name, *, role=None, api=None):
    """A token that is signed with the key of the platform's owner."""
    token = ParticipantToken(name=name)
    token.add_room_grant(room)
    if role is not None:
        token.add_role_grant(role)
    token.add_api_grant(api if api is not None else ApiScope.full())
    return token.to_jwt(api_key=platform.key)


@contextlib.asynccontextmanager
async def entered(platform, room, name="ada", **grants):
    """A participant that is in the room."""
    protocol = WebSocketClientProtocol(
        url=room_url(platform, room), token=signed(platform, room, name, **grants)
    )
    async with RoomClient(protocol=protocol) as client:
        assert client.local_participant.get_attribute("name") == name
        yield client


async def until(condition, what="what was waited for", seconds=10):
    """Waits until a condition holds."""
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what} did not happen")
