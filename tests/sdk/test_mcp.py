"""MCP servers of services: their tools are toolkits of the room, for participants of the SDK."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import ToolAnnotations
from meshagent.api.room_server_client import RoomClient, RoomException
from meshagent.api.specs.service import ServiceSpec
from meshagent.api.websocket_protocol import WebSocketClientProtocol
from starlette.responses import PlainTextResponse

SECRET = "Bearer a-secret-of-the-server"


def calculator():
    """A server of the official SDK for MCP."""
    server = FastMCP("calculator")

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def add(a: int, b: int = 40) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    def fail() -> str:
        """Fails."""
        raise ValueError("it did not work")

    @server.tool()
    async def grow(context: Context) -> str:
        """Offers another tool."""

        def more() -> str:
            return "more"

        server.add_tool(more)
        await context.session.send_tool_list_changed()
        return "grown"

    return server


def guarded(app):
    """Lets nobody in who does not send the secret."""

    async def serve(scope, receive, send):
        headers = dict(scope.get("headers") or ())
        if scope["type"] == "http" and headers.get(b"authorization") != SECRET.encode():
            return await PlainTextResponse("no", status_code=401)(scope, receive, send)
        return await app(scope, receive, send)

    return serve


@contextlib.asynccontextmanager
async def served(app, port=0):
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def service(port, **mcp):
    described = {
        "version": "v1",
        "kind": "Service",
        "metadata": {"name": "calculator"},
        "external": {"url": f"http://127.0.0.1:{port}"},
        "ports": [
            {
                "num": port,
                "type": "http",
                "endpoints": [{"path": "/mcp", "mcp": {"label": "calculator", **mcp}}],
            }
        ],
    }
    return ServiceSpec.model_validate(described)


@contextlib.asynccontextmanager
async def in_room(platform, port, **mcp):
    """A participant in a room whose service is an MCP server, and what the room logs."""
    async with platform.room() as (client, project, _):
        made = await client.create_service(project_id=project, service=service(port, **mcp))
        connection = await client.connect_room(project_id=project, room="demo")
        protocol = WebSocketClientProtocol(url=connection.room_url, token=connection.jwt)
        async with RoomClient(protocol=protocol) as ada:
            yield ada, made.id


async def tools(ada):
    for toolkit in await ada.agents.list_toolkits():
        if toolkit.name == "calculator":
            return sorted(tool.name for tool in toolkit.tools)
    return []


async def become(look, expected, seconds=10):
    seen = None
    for _ in range(seconds * 50):
        seen = await look()
        if seen == expected:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(seen)


async def state(ada, made):
    states = (await ada.services.list_with_state()).service_states
    return states[made].state if made in states else None


async def restarts(ada, made):
    return (await ada.services.list_with_state()).service_states[made].restart_count


async def is_again(ada, made, before):
    """Whether a service was started again and runs."""
    return await restarts(ada, made) > before and await state(ada, made) == "running"


async def add(ada, **numbers):
    return await ada.agents.invoke_tool(toolkit="calculator", tool="add", input=numbers)


async def test_tools_of_an_mcp_server_are_called_in_a_room_and_follow_it(platform):
    async with contextlib.AsyncExitStack() as stack:
        server = calculator()
        app = guarded(server.streamable_http_app())
        port = await stack.enter_async_context(served(app))
        headers = {"Authorization": SECRET}
        ada, made = await stack.enter_async_context(in_room(platform, port, headers=headers))
        await become(lambda: tools(ada), ["add", "fail", "grow"])
        await become(lambda: state(ada, made), "running")
        (toolkit,) = [it for it in await ada.agents.list_toolkits() if it.name == "calculator"]
        (offered,) = [tool for tool in toolkit.tools if tool.name == "add"]
        assert offered.description == "Adds two numbers."
        assert offered.input_spec.schema["required"] == ["a"]
        answer = await add(ada, a=2, b=3)
        assert answer.json["structuredContent"] == {"result": 5}
        assert answer.json["isError"] is False
        # What may be left out may be left out.
        assert (await add(ada, a=2)).json["structuredContent"] == {"result": 42}
        with pytest.raises(RoomException, match="add does not accept /a"):
            await add(ada, a="two")
        # What fails is told by the server's result, as it is.
        failed = await ada.agents.invoke_tool(toolkit="calculator", tool="fail", input={})
        assert failed.json["isError"] is True
        assert "it did not work" in failed.json["content"][0]["text"]
        # A tool that comes is offered at once.
        await ada.agents.invoke_tool(toolkit="calculator", tool="grow", input={})
        await become(lambda: tools(ada), ["add", "fail", "grow", "more"], seconds=5)


async def test_an_mcp_server_is_waited_for_and_called_again(platform):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with in_room(platform, port) as (ada, made):
        await become(lambda: state(ada, made), "failing")
        async with served(calculator().streamable_http_app(), port):
            await become(lambda: state(ada, made), "running", seconds=30)
            assert await tools(ada) == ["add", "fail", "grow"]
            before = await restarts(ada, made)
            await ada.services.restart(service_id=made)
            await become(lambda: is_again(ada, made, before), True, seconds=30)
            assert (await add(ada, a=1, b=1)).json["structuredContent"] == {"result": 2}


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        ([{"tool_names": ["add", "none"]}], ["add"]),
        ([{"read_only": True}], ["add"]),
        ([{"read_only": False}], ["fail", "grow"]),
        ([{"tool_names": ["fail"], "read_only": True}, {"tool_names": ["grow"]}], ["grow"]),
    ],
)
async def test_only_allowed_tools_are_offered(platform, allowed, offered):
    async with served(calculator().streamable_http_app()) as port:
        async with in_room(platform, port, allowed_tools=allowed) as (ada, _):
            await become(lambda: tools(ada), offered)
            with pytest.raises(RoomException, match="has no tool"):
                await ada.agents.invoke_tool(toolkit="calculator", tool="none", input={})


async def test_what_cannot_be_used_is_said_in_the_log(platform):
    async def hidden(scope, receive, send):
        await PlainTextResponse("not MCP", status_code=404)(scope, receive, send)

    for app, mcp, said in [
        (guarded(calculator().streamable_http_app()), {}, "asks for a sign-in"),
        (hidden, {}, "answered with HTTP 404"),
        (
            calculator().streamable_http_app(),
            {"headers": {"a\nb": "c"}},
            "is not the name of a header",
        ),
    ]:
        async with served(app) as port, in_room(platform, port, **mcp) as (ada, made):
            async for event in ada.developer.logs():
                body = str(event)
                if said in body:
                    assert f"127.0.0.1:{port}" not in body
                    break
            assert await state(ada, made) == "failing"


async def test_calls_that_have_to_be_approved_are_not_offered(platform):
    async with served(calculator().streamable_http_app()) as port:
        async with in_room(platform, port, require_approval="always") as (ada, made):
            await become(lambda: state(ada, made), "unavailable")
            assert await tools(ada) == []
