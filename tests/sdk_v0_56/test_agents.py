"""Managed agents through the public SDK and command line."""

import json

import pytest
from meshagent.api import RoomException
from meshagent.api.client import ConflictError, NotFoundError, ValidationErrorResponse
from meshagent.api.managed_agents import ManagedAgentSpec

# Everything that a configuration may say, but an account and its secrets.
WHOLE = {
    "metadata": {"name": "planner", "annotations": {"team": "a"}},
    "allowed_models": [
        {"provider": "openai", "model": "gpt-x", "output_modalities": ["text", "audio"]},
        {"provider": "anthropic", "model": "claude-x"},
        {"provider": "grok", "model": "grok-x"},
    ],
    "llm_delegation": "required",
    "thread_isolation": "participant",
    "instructions": "plan\n",
    "toolkits": [
        {"type": "web_search", "allowed_domains": [], "blocked_domains": ["b.example"]},
        {"type": "web_fetch"},
        {"type": "image_generation", "size": "1024x1536", "output_compression": 80},
        {
            "type": "mcp",
            "servers": [
                {
                    "server_label": "github",
                    "server_url": "https://mcp.example.test",
                    "headers": [{"name": "X-Key", "value": "v"}],
                    "require_approval": "always",
                    "use_proxy_secret": "github-token",
                }
            ],
        },
    ],
    "tools": [
        {
            "name": "lookup",
            "input_schema": {
                "type": "object",
                "properties": {"id": {"$ref": "#/$defs/id"}},
                "required": ["id"],
                "additionalProperties": False,
                "$defs": {"id": {"type": "string"}},
            },
            "source": "async def lookup(args): return args",
        }
    ],
    "connections": {
        "crm": {
            "base_url": "https://crm.example.test/v1?x=y",
            "headers": [{"name": "Accept", "value": "application/json"}],
        }
    },
    "environment": [{"name": "CRM_URL", "value": "https://crm.example.test"}],
    "guardrails": {
        "input": [
            {
                "name": "scope",
                "check": {
                    "model": "openai/gpt-y",
                    "instructions": "Allow support requests.",
                    "minimum_allow_probability": 0.9,
                },
                "on_error": {"action": "pass"},
            }
        ],
        "tools": [
            {
                "name": "t",
                "match": {"names": ["lookup"]},
                "output": [
                    {
                        "name": "leak",
                        "check": {
                            "model": "openai/gpt-y",
                            "instructions": "No keys.",
                            "minimum_allow_probability": 1,
                        },
                        "on_reject": {"action": "replace", "message": "gone"},
                        "max_retries": 0,
                    }
                ],
            }
        ],
    },
    "output_modalities": ["text"],
    "store": False,
}


def spec(**more):
    return ManagedAgentSpec.model_validate(
        {"metadata": {"name": "planner"}, "allowed_models": [], **more}
    )


async def test_an_agent_is_made_read_replaced_and_deleted(platform):
    async with platform.project() as (client, project):
        whole = ManagedAgentSpec.model_validate(WHOLE)
        made = await client.create_agent(project_id=project, configuration=whole)
        assert made.name == "planner"
        assert made.configuration == whole.model_copy(update={"id": made.id})
        for name in ("planner", "PLANNER"):
            assert await client.get_agent(project_id=project, name=name) == made
        assert await client.list_agents(project_id=project) == [made]
        with pytest.raises(ConflictError):
            await client.create_agent(project_id=project, configuration=spec())
        again = await client.create_agent(
            project_id=project, configuration=spec(), if_not_exists=True
        )
        assert again == made
        # A change replaces what it does not name.
        await client.update_agent(project_id=project, agent_id=made.id, configuration=spec())
        got = await client.get_agent(project_id=project, name="planner")
        assert got.id == made.id
        assert got.configuration == spec(id=made.id)
        await client.delete_agent(project_id=project, agent_id=made.id)
        with pytest.raises(RoomException, match="agent not found"):
            await client.get_agent(project_id=project, name="planner")
        with pytest.raises(NotFoundError):
            await client.delete_agent(project_id=project, agent_id=made.id)


async def test_what_the_model_lets_through_is_still_checked(platform):
    async with platform.project() as (client, project):
        for wrong, field in [
            ({"run_as": {"email": "nobody@nowhere.example"}}, "configuration.run_as.email"),
            ({"metadata": {"name": ".."}}, "configuration.metadata.name"),
            (
                {"toolkits": [{"type": "mcp", "servers": [{"server_label": "a", "server_url": "b"}]}]},
                "configuration.toolkits[0].servers[0].server_url",
            ),
        ]:
            with pytest.raises(ValidationErrorResponse) as refused:
                await client.create_agent(project_id=project, configuration=spec(**wrong))
            assert field in str(refused.value)


async def test_what_the_model_refuses_is_refused(platform):
    async with platform.project() as (client, project):
        for wrong, field in [
            ({"allowed_models": None}, "allowed_models"),
            ({"allowed_models": [{"provider": "other", "model": "x"}]}, "allowed_models"),
            ({"toolkits": [{"type": "shell"}]}, "toolkits"),
            ({"color": "red"}, "color"),
            ({"metadata": {"name": "a", "color": "red"}}, "metadata.color"),
            ({"kind": "Service"}, "kind"),
            ({"environment": [{"name": "A", "value": "x", "secret": {"id": "y"}}]}, "environment"),
            ({"environment": [{"name": "A", "secret": {"id": "y"}}]}, "environment"),
            ({"connections": {"a": {"base_url": "https://u:p@x.example"}}}, "connections.a.base_url"),
        ]:
            body = {"metadata": {"name": "planner"}, "allowed_models": [], **wrong}
            headers = client._get_headers() | {"Content-Type": "application/json"}
            url = f"{platform.url}/accounts/projects/{project}/agents"
            async with client._session.post(
                url, headers=headers, json={"configuration": body}
            ) as answer:
                told = await answer.json()
                assert answer.status == 400, (wrong, told)
                assert told["field"].startswith(f"configuration.{field}"), told
        assert await client.list_agents(project_id=project) == []


async def test_the_account_and_secrets_of_an_agent_are_its_own_and_stay(platform):
    async with platform.project() as (client, project):
        account = await client.create_service_account(project, name="robot")
        secret = await client.create_service_account_secret(
            project_id=project, service_account_id=account.id, name="s", type="opaque"
        )
        wanted = spec(
            run_as={"email": account.email.upper(), "scopes": ["secrets:read"]},
            environment=[{"name": "KEY", "secret": {"id": secret.id}}],
            connections={
                "crm": {
                    "base_url": "https://crm.example.test",
                    "headers": [{"name": "X-Key", "secret": {"id": secret.id}, "prefix": "K "}],
                }
            },
        )
        made = await client.create_agent(project_id=project, configuration=wanted)
        assert made.configuration.run_as.email == account.email
        with pytest.raises(ConflictError, match="the agent"):
            await client.delete_service_account_secret(
                project_id=project, service_account_id=account.id, secret_id=secret.id
            )
        with pytest.raises(ConflictError, match="the agent"):
            await client.delete_service_account(project, account.id)
        other = await client.create_service_account(project, name="other")
        with pytest.raises(ValidationErrorResponse, match="is not one of the account"):
            await client.update_agent(
                project_id=project,
                agent_id=made.id,
                configuration=wanted.model_copy(
                    update={"run_as": wanted.run_as.model_copy(update={"email": other.email})}
                ),
            )
        await client.delete_agent(project_id=project, agent_id=made.id)
        await client.delete_service_account(project, account.id)


async def test_agents_come_in_pages_and_stand_in_both_views(small_pages):
    async with small_pages.project() as (client, project):
        for name in ("a", "b", "c"):
            await client.create_agent(
                project_id=project, configuration=spec(metadata={"name": name})
            )
        for view in ("my", "all"):
            page = await client.list_agents_page(project_id=project, view=view)
            assert [one.name for one in page.agents] == ["a", "b"]
            page = await client.list_agents_page(
                project_id=project, view=view, continuation_token=page.continuation_token
            )
            assert [one.name for one in page.agents] == ["c"]
            assert page.continuation_token is None
        page = await client.list_agents_page(project_id=project, filter="C")
        assert [one.name for one in page.agents] == ["c"]


async def test_nobody_connects_to_an_agent_that_does_not_run(platform):
    async with platform.project() as (client, project):
        await client.create_agent(project_id=project, configuration=spec())
        with pytest.raises(ConflictError, match="does not run"):
            await client.connect_agent(project_id=project, agent="planner")
        with pytest.raises(NotFoundError):
            await client.connect_agent(project_id=project, agent="other")


async def test_the_command_line_makes_shows_changes_and_deletes_agents(platform, command_line):
    async with platform.project() as (_, project):
        line = command_line(project)
        config = {"metadata": {"name": " Planner "}, "allowed_models": WHOLE["allowed_models"]}
        line.run("agent", "create", "-c", json.dumps(config))
        line.run("agent", "create", "-c", json.dumps(config), code=1)
        line.run("agent", "create", "-c", json.dumps(config), "--if-not-exists")
        listed = json.loads(line.run("agent", "list", "-o", "json"))
        listed = listed["agents"] if isinstance(listed, dict) else listed
        assert [one["name"] for one in listed] == ["planner"]
        change = ["agent", "update", "--name", "planner", "-c", json.dumps(config)]
        line.run(*change, "--thread-isolation", "participant")
        assert '"participant"' in line.run("agent", "get", "--name", "planner")
        line.run("agent", "get", "--name", "nope", code=1)
        line.run("agent", "delete", "--name", "planner")
        line.run("agent", "delete", "--name", "planner", code=1)
