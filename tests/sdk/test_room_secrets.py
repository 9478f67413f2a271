"""Secrets of rooms, as participants of the public SDK store them and ask each other for them."""

import asyncio
import base64
import contextlib
import hashlib
import uuid

import aiohttp
import pytest
from aiohttp import web
from meshagent.api.oauth import ConnectorRef, OAuthClientConfig
from meshagent.api.participant_token import (
    AdminGrant,
    ApiScope,
    OAuthEndpoint,
    QueuesGrant,
    SecretsGrant,
)
from meshagent.api.room_server_client import RoomClient, RoomException
from meshagent.api.websocket_protocol import WebSocketClientProtocol

from rooms import entered, room_url, signed

SECRETS = ApiScope(secrets=SecretsGrant())


def new_room():
    return f"room-{uuid.uuid4().hex[:12]}"


@contextlib.asynccontextmanager
async def asked(platform, room, name, *, oauth=None, secret=None):
    """A participant that answers what it is asked for."""
    token = signed(platform, room, name, api=SECRETS)
    protocol = WebSocketClientProtocol(url=room_url(platform, room), token=token)
    handlers = {} if oauth is None else {"oauth_token_request_handler": oauth}
    async with RoomClient(protocol=protocol, **handlers) as client:
        # The client of a room takes no handler for secrets, though the one for secrets has it.
        client.secrets._secret_request_handler = secret
        yield client


async def refused(call):
    with pytest.raises(RoomException) as error:
        await call
    return error.value


async def test_secrets_are_stored_listed_read_and_deleted(platform):
    room = new_room()
    async with (
        entered(platform, room, "ada", api=SECRETS) as ada,
        entered(platform, room, "bob", api=SECRETS) as bob,
    ):
        assert await ada.secrets.list_secrets() == []
        value = bytes(range(256))
        await ada.secrets.set_secret(secret_id="key", type="text/x", name="Key", data=value)
        await ada.secrets.set_secret(secret_id="empty", data=b"")
        await ada.secrets.set_secret(secret_id="key", delegated_to="bob", data=b"for bob")
        await ada.secrets.set_secret(data=b"nameless")
        told = [
            (it.id, it.type, it.name, it.delegated_to) for it in await ada.secrets.list_secrets()
        ]
        unknown = "application/octet-stream"
        assert told[:3] == [
            ("key", "text/x", "Key", None),
            ("empty", unknown, "empty", None),
            ("key", unknown, "key", "bob"),
        ]
        assert len(told) == 4
        found = await ada.secrets.get_secret(secret_id="key")
        assert (found.name, found.mime_type, found.data) == ("Key", "text/x", value)
        for which in [{"type": "text/x"}, {"name": "Key"}]:
            assert (await ada.secrets.get_secret(**which)).data == value
        assert (await ada.secrets.get_secret(secret_id="empty")).data == b""
        assert await ada.secrets.get_secret(secret_id="none") is None
        for client in [ada, bob]:
            found = await client.secrets.get_secret(secret_id="key", delegated_to="bob")
            assert found.data == b"for bob"
        assert await bob.secrets.get_secret(secret_id="key") is None
        assert await bob.secrets.list_secrets() == []
        assert (await refused(ada.secrets.delete_secret(id="empty", delegated_to="bob"))).code == 1003
        await ada.secrets.delete_secret(id="empty")
        await ada.secrets.delete_secret(id="key", delegated_to="bob")
        assert await bob.secrets.get_secret(secret_id="key", delegated_to="bob") is None
        assert len(await ada.secrets.list_secrets()) == 2
    # They outlive the room's run, and belong to the name.
    async with entered(platform, room, "ada", api=SECRETS) as ada:
        assert (await ada.secrets.get_secret(secret_id="key")).data == value


async def test_secrets_need_their_grant_and_those_of_others_an_administrator(platform):
    room = new_room()
    admin = ApiScope(secrets=SecretsGrant(), admin=AdminGrant())
    async with (
        entered(platform, room, "admin", api=admin) as admin,
        entered(platform, room, "ada", api=SECRETS) as ada,
        entered(platform, room, "eve", api=ApiScope(queues=QueuesGrant())) as eve,
    ):
        await admin.secrets.set_secret(secret_id="key", for_identity="ada", data=b"x")
        assert (await ada.secrets.get_secret(secret_id="key")).data == b"x"
        assert await admin.secrets.get_secret(secret_id="key") is None
        assert (await refused(ada.secrets.set_secret(secret_id="k", for_identity="eve", data=b""))).code == 1001
        me = ada.local_participant.id
        for call in [
            eve.secrets.list_secrets(),
            eve.secrets.set_secret(secret_id="k", data=b""),
            eve.secrets.get_secret(secret_id="k"),
            eve.secrets.delete_secret(id="k"),
            eve.secrets.request_secret(url="u", type="t", from_participant_id=me),
            eve.secrets.provide_secret(request_id="r", data=b""),
            eve.secrets.delete_requested_secret(url="u", type="t"),
            eve.secrets.provide_oauth_authorization(request_id="r", code="c"),
            eve.secrets.get_offline_oauth_token(oauth=OAuthClientConfig()),
            eve.secrets.request_oauth_token(
                oauth=OAuthClientConfig(), from_participant_id=me, redirect_uri="r"
            ),
        ]:
            assert (await refused(call)).code == 1001


async def test_a_participant_is_asked_for_a_secret(platform):
    room = new_room()
    heard = []

    async def answer(request):
        heard.append((request.url, request.type, request.delegate_to))
        if request.url == "declined":
            await bob.secrets.reject_secret(request_id=request.request_id, error="not today")
        elif request.url != "silent":
            await bob.secrets.provide_secret(request_id=request.request_id, data=b"\0given")

    async with asked(platform, room, "bob", secret=answer) as bob:
        async with entered(platform, room, "ada", api=SECRETS) as ada:
            whom = {"type": "text/plain", "from_participant_id": bob.local_participant.id}
            for _ in range(2):
                assert await ada.secrets.request_secret(url="u", **whom) == b"\0given"
            assert heard == [("u", "text/plain", None)]
            await ada.secrets.delete_requested_secret(url="u", type="text/plain")
            assert await ada.secrets.request_secret(url="u", delegate_to="bot", **whom) == b"\0given"
            assert heard[1:] == [("u", "text/plain", "bot")]
            async with entered(platform, room, "bot", api=SECRETS) as bot:
                assert (await bot.secrets.get_secret(name="u", delegated_to="bot")).data == b"\0given"
            declined = await refused(ada.secrets.request_secret(url="declined", **whom))
            assert "not today" in str(declined)
            late = await refused(ada.secrets.request_secret(url="silent", timeout=1, **whom))
            assert late.code == 1009
            whom["from_participant_id"] = "none"
            assert (await refused(ada.secrets.request_secret(url="x", **whom))).code == 1003


async def test_a_provider_that_leaves_ends_the_request(platform):
    room = new_room()
    was_asked = asyncio.Event()

    async def silent(request):
        was_asked.set()

    async with entered(platform, room, "ada", api=SECRETS) as ada:
        async with asked(platform, room, "bob", secret=silent) as bob:
            request = ada.secrets.request_secret(
                url="u", type="t", from_participant_id=bob.local_participant.id
            )
            request = asyncio.create_task(request)
            await asyncio.wait_for(was_asked.wait(), 10)
        with pytest.raises(RoomException, match="left the room"):
            await asyncio.wait_for(request, 10)


class SignIns:
    """A server at which people sign in. A code is good for one token, with the proof for it."""

    def __init__(self):
        self.codes = {}
        self.refreshed = 0
        self.seconds = 3600

    async def authorize(self, request):
        code = uuid.uuid4().hex
        self.codes[code] = request.query
        return web.Response(text=code)

    async def token(self, request):
        form = await request.post()
        if form["grant_type"] == "refresh_token":
            assert form["refresh_token"] == f"refresh {self.refreshed}"
            self.refreshed += 1
        else:
            asked = self.codes.pop(form["code"])
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            assert asked["code_challenge"] == challenge
            assert asked["redirect_uri"] == form["redirect_uri"]
        assert (form["client_id"], form["client_secret"]) == ("app", "secret of the program")
        return web.json_response(
            {
                "access_token": f"token {self.refreshed}",
                "refresh_token": f"refresh {self.refreshed}",
                "expires_in": self.seconds,
            }
        )


@contextlib.asynccontextmanager
async def sign_ins():
    server = SignIns()
    app = web.Application()
    app.router.add_get("/authorize", server.authorize)
    app.router.add_post("/token", server.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_a_participant_signs_in_for_another_one(platform):
    room = new_room()
    heard = []

    async def sign_in(request):
        heard.append(request)
        query = {
            "client_id": "app",
            "redirect_uri": "http://localhost/back",
            "code_challenge": request.challenge,
            "scope": " ".join(request.scopes or []),
        }
        async with aiohttp.ClientSession() as http:
            async with http.get(request.authorization_endpoint, params=query) as answer:
                code = await answer.text()
        await bob.secrets.provide_oauth_authorization(request_id=request.request_id, code=code)

    async with sign_ins() as server, asked(platform, room, "bob", oauth=sign_in) as bob:
        client = OAuthClientConfig(
            client_id="app",
            client_secret="secret of the program",
            authorization_endpoint=f"{server.url}/authorize",
            token_endpoint=f"{server.url}/token",
            scopes=["a", "b"],
        )
        whom = {
            "from_participant_id": bob.local_participant.id,
            "redirect_uri": "http://localhost/back",
        }
        entry = OAuthEndpoint(endpoint=f"{server.url}/*", client_id="app")
        scope = ApiScope(secrets=SecretsGrant(request_oauth_token=[entry]))
        async with entered(platform, room, "ada", api=scope) as ada:
            assert await ada.secrets.get_offline_oauth_token(oauth=client) is None
            server.seconds = 10
            assert await ada.secrets.request_oauth_token(oauth=client, **whom) == "token 0"
            assert heard[0].token_endpoint == client.token_endpoint
            assert heard[0].scopes == ["a", "b"]
            # It is old, so it is renewed, and nobody signs in.
            server.seconds = 3600
            assert await ada.secrets.get_offline_oauth_token(oauth=client) == "token 1"
            assert await ada.secrets.request_oauth_token(oauth=client, **whom) == "token 1"
            assert await ada.secrets.request_oauth_token(
                oauth=client, delegate_to="bot", **whom
            ) == "token 1"
            assert (server.refreshed, len(heard)) == (1, 2)
            async with entered(platform, room, "bot", api=SECRETS) as bot:
                for by in ["ada", "bob"]:
                    token = bot.secrets.get_offline_oauth_token(oauth=client, delegated_by=by)
                    assert await token == "token 1"
                assert await bot.secrets.get_offline_oauth_token(oauth=client) is None
            assert await bob.secrets.get_offline_oauth_token(oauth=client) is None
            other = client.model_copy(update={"client_id": "other"})
            assert (await refused(ada.secrets.request_oauth_token(oauth=other, **whom))).code == 1001
            connector = ConnectorRef(server_url=server.url)
            alone = ada.secrets.request_oauth_token(connector=connector, **whom)
            assert (await refused(alone)).code == 1001
        async with entered(platform, room, "eve", api=SECRETS) as eve:
            alone = eve.secrets.request_oauth_token(connector=connector, **whom)
            assert (await refused(alone)).code == 1007


async def test_a_participant_declines_to_sign_in(platform):
    room = new_room()

    async def decline(request):
        await bob.secrets.reject_oauth_authorization(
            request_id=request.request_id, error="cancelled"
        )

    async with (
        asked(platform, room, "bob", oauth=decline) as bob,
        entered(platform, room, "ada", api=SECRETS) as ada,
    ):
        client = OAuthClientConfig(
            client_id="app",
            authorization_endpoint="https://accounts.invalid/authorize",
            token_endpoint="https://accounts.invalid/token",
        )
        declined = await refused(
            ada.secrets.request_oauth_token(
                oauth=client,
                from_participant_id=bob.local_participant.id,
                redirect_uri="http://localhost/back",
            )
        )
        assert "cancelled" in str(declined)
