"""Services and scheduled tasks through the public SDK and command line."""

import json

import pytest
from conftest import old
from meshagent.api.client import (
    ConflictError,
    NotFoundError,
    ValidationErrorResponse,
)
from meshagent.api.specs.service import ScheduledTaskSpec, ServiceSpec


def service(name, **more):
    return ServiceSpec.model_validate(
        {"version": "v1", "kind": "Service", "metadata": {"name": name}, **more}
    )


FULL = {
    "enabled": False,
    "files": [{"path": "/etc/a", "text": "b"}],
    "agents": [
        {
            "name": "helper",
            "channels": {
                "queue": [{"queue": "q"}],
                "messaging": [{"prompts": [{"name": "a", "prompt": "b"}]}],
            },
            "email": {"address": "a@b.c", "public": True},
            "heartbeat": {
                "queue": "q",
                "prompt": [{"type": "text", "text": "hello"}],
                "minutes": 5,
            },
        }
    ],
    "ports": [
        {
            "num": 8000,
            "host_port": 80,
            "endpoints": [
                {
                    "path": "/",
                    "meshagent": {
                        "identity": "x",
                        "api": {"dataset": {}, "llm": {}, "sqlite": {}},
                    },
                },
                {"path": "/mcp", "mcp": {"label": "l", "use_proxy_secret": "s"}},
            ],
        }
    ],
    "container": {
        "image": "busybox",
        "storage": {
            "volumes": [{"name": "v", "path": "/v"}],
            "configs": [{}],
            "room": [{"path": "/data"}],
        },
    },
}

TEMPLATE = """version: v1
kind: ServiceTemplate
metadata:
  name: placed
variables:
  - name: image
container:
  image: "{{ image }}"
  template: none
  storage:
    room:
      - path: /data
"""


def same(found, wanted):
    """Whether they differ in their id only."""
    return found.model_copy(update={"id": None}) == wanted


@pytest.mark.parametrize("scope", ["project", "room"])
async def test_a_service_keeps_all_of_its_document(platform, scope):
    async with platform.room() as (client, project, _):
        where = {"project_id": project}
        named = ""
        if scope == "room":
            where["room_name"] = "demo"
            named = "room_"
        call = lambda name: getattr(client, name.replace("service", named + "service"))
        spec = service("full", **FULL)
        made = await call("create_service")(**where, service=spec)
        id = made if isinstance(made, str) else made.id
        listed = await call("list_services")(**where)
        assert [one.id for one in listed] == [id] and same(listed[0], spec)
        got = await call("get_service")(**where, service_id=id)
        assert same(got, spec)
        got = await call("get_service_by_name")(**where, service_name="full")
        assert got.id == id
        with pytest.raises(NotFoundError):
            await call("get_service_by_name")(**where, service_name="other")
        with pytest.raises(ConflictError):
            await call("create_service")(**where, service=spec)
        got.enabled = True
        await call("update_service")(**where, service_id=id, service=got)
        assert (await call("get_service")(**where, service_id=id)).enabled
        placed = await call("create_service_from_template")(
            **where, template=TEMPLATE, values={"image": "busybox"}
        )
        assert placed.container.image == "busybox"
        again = await call("update_service_from_template")(
            **where, service_id=placed.id, template=TEMPLATE, values={"image": "alpine"}
        )
        assert again.container.image == "alpine"
        for one in (id, placed.id):
            await call("delete_service")(**where, service_id=one)
        assert await call("list_services")(**where) == []


async def test_a_template_is_rendered(platform):
    async with platform.client() as client:
        rendered = await client.render_template(template=TEMPLATE, values={"image": "x"})
        assert rendered.container.image == "x" and rendered.container.template == "none"
        with pytest.raises(ValidationErrorResponse):
            await client.render_template(template="kind: Other\nmetadata: {}", values={})


async def test_neither_api_damages_the_services_of_the_other(platform):
    async with platform.project() as (client, project):
        path = f"/accounts/projects/{project}/services"
        full = await client.create_service(project_id=project, service=service("full", **FULL))
        _, listed = old(platform, "GET", path)
        [shown] = listed["services"]
        assert shown["container"]["secrets"] is None and "enabled" not in shown
        assert "dataset" not in shown["ports"][0]["endpoints"][0]["meshagent"]["api"]
        code, told = old(platform, "PUT", f"{path}/{full.id}", shown)
        assert code == 409 and "0.31" in told["error"]
        plain = service("plain", container={"image": "x", "template": "none"})
        plain = await client.create_service(project_id=project, service=plain)
        code, shown = old(platform, "GET", f"{path}/{plain.id}")
        shown["container"]["image"] = "y"
        assert old(platform, "PUT", f"{path}/{plain.id}", shown)[0] == 200
        got = await client.get_service(project_id=project, service_id=plain.id)
        assert got.container.image == "y" and got.container.template == "none"
        # What 0.31 wrote with a secret of its own.
        body = {"name": "keys", "type": "keys", "data": {"a": "b"}}
        _, secret = old(platform, "POST", f"/accounts/projects/{project}/secrets", body)
        spec = {
            "version": "v1",
            "kind": "Service",
            "metadata": {"name": "old"},
            "container": {"image": "x", "secrets": [secret["id"]]},
        }
        _, made = old(platform, "POST", path, spec)
        got = await client.get_service(project_id=project, service_id=made["id"])
        assert got.enabled and got.container.template == "none"
        with pytest.raises(ConflictError, match="container.secrets"):
            await client.update_service(
                project_id=project, service_id=made["id"], service=got
            )
        await client.delete_service(project_id=project, service_id=made["id"])


def task(schedule="0 9 * * *", **more):
    more = more or {"queue": {"name": "q", "payload": {"a": 1}}}
    return ScheduledTaskSpec.model_validate({"schedule": schedule, **more})


async def test_a_task_is_made_below_its_room(platform):
    async with platform.room() as (client, project, room):
        where = {"project_id": project}
        spec = task(metadata={"name": "daily", "annotations": {"a": "b"}}, queue={"name": "q"})
        id = await client.create_scheduled_task(**where, room_name="demo", spec=spec)
        ran = task(container={"image": "busybox"})
        other = await client.create_scheduled_task(**where, room_name="demo", spec=ran)
        found = await client.list_scheduled_tasks(**where)
        assert [one.id for one in found] == [id, other]
        assert found[0].spec == spec and found[0].room_id == room.id
        assert found[0].queue_name == "q" and found[0].annotations == {"a": "b"}
        assert found[1].spec == ran and found[1].container.image == "busybox"
        of_room = await client.list_scheduled_tasks(**where, room_id=room.id, offset=1)
        assert [one.id for one in of_room] == [other]
        changed = task("30 minutes", queue={"name": "r"}, active=False)
        await client.update_scheduled_task(**where, task_id=id, spec=changed)
        [got] = await client.list_scheduled_tasks(**where, task_id=id)
        assert got.spec == changed
        runs = await client.list_scheduled_task_runs(**where, task_id=id)
        assert runs == []
        path = f"/accounts/projects/{project}/scheduled-tasks"
        code, told = old(platform, "PUT", f"{path}/{other}", {"active": False})
        assert code == 409 and "container" in told["error"]
        # A short interval of 0.31 is not in the list.
        body = {
            "room_name": "demo",
            "queue_name": "q",
            "payload": {},
            "schedule": "* * * * *",
        }
        assert old(platform, "POST", path, body)[0] == 201
        assert len(await client.list_scheduled_tasks(**where)) == 2
        for one in (id, other):
            await client.delete_scheduled_task(**where, task_id=one)


async def test_the_command_line_works_with_services_and_tasks(platform, command_line):
    async with platform.room() as (client, project, _):
        cli = command_line(project)
        spec = json.dumps(
            service("web", container={"image": "busybox"}).model_dump(
                mode="json", exclude_none=True
            )
        )
        cli.file("service.json", spec)
        cli.file("template.yaml", TEMPLATE)
        for scope in (["--global"], ["--room", "demo"]):
            where = scope[1:] and scope
            cli.run("service", "create", "-f", "service.json", *scope)
            assert "web" in cli.run("service", "list", *where)
            cli.run("service", "update", "-f", "service.json", *scope)
            cli.run("service", "disable", "web", *where)
            assert "web" in cli.run("service", "get", "web", *where)
            cli.run("service", "enable", "web", *where)
            cli.run("service", "create-template", "-f", "template.yaml", "--value", "image=x", *scope)
            found = (
                await client.list_room_services(project_id=project, room_name="demo")
                if where
                else await client.list_services(project_id=project)
            )
            assert sorted(one.metadata.name for one in found) == ["placed", "web"]
            for one in found:
                cli.run("service", "delete", one.id, *where)
        cli.file("task.yaml", "schedule: '0 9 * * *'\nqueue: {name: q}\n")
        cli.run("scheduled-task", "add", "-f", "task.yaml", "--room", "demo")
        [found] = await client.list_scheduled_tasks(project_id=project)
        cli.run("scheduled-task", "update", found.id, "-f", "task.yaml")
        assert found.id in cli.run("scheduled-task", "list", "-o", "json")
        assert found.id in cli.run("scheduled-task", "list", "--room", "demo", "-o", "json")
        cli.run("scheduled-task", "runs", found.id)
        cli.run("scheduled-task", "delete", found.id)
        assert await client.list_scheduled_tasks(project_id=project) == []
