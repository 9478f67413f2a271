"""Documents of the reference's models with every field set."""

from meshagent.api.participant_token import ApiScope
from meshagent.api.specs.service import ServiceSpec

PATHS = [{"path": "a", "read_only": True}, {"path": "b*", "read_only": False}]

FULL_SCOPE = {
    "livekit": {"breakout_rooms": ["one", "two"]},
    "queues": {"send": ["q1"], "receive": [], "list": False},
    "messaging": {"broadcast": False, "list": False, "send": False},
    "database": {
        "tables": [
            {
                "name": "t",
                "namespace": ["n", "m"],
                "write": True,
                "read": False,
                "alter": True,
            }
        ],
        "list_tables": False,
    },
    "memory": {
        "list": False,
        "memories": [
            {
                "name": "m",
                "namespace": ["n"],
                "permissions": {
                    "create": False,
                    "drop": False,
                    "inspect": True,
                    "query": True,
                    "upsert": False,
                    "ingest": False,
                    "recall": True,
                    "optimize": False,
                },
            }
        ],
    },
    "sync": {"paths": PATHS},
    "storage": {"paths": PATHS},
    "containers": {
        "logs": False,
        "pull": ["image*"],
        "run": [],
        "use_containers": False,
    },
    "developer": {"logs": False},
    "agents": {
        "register_agent": False,
        "register_public_toolkit": False,
        "register_private_toolkit": False,
        "call": False,
        "use_agents": False,
        "use_tools": False,
        "allowed_toolkits": ["a", "b"],
    },
    "admin": {"config": False},
    "secrets": {
        "request_oauth_token": [{"endpoint": "https://e.test/*", "client_id": "c"}]
    },
    "tunnels": {"ports": ["80", "443"]},
    "services": {"list": False},
}


def full_scope():
    scope = ApiScope.model_validate(FULL_SCOPE)
    # The document is only worth something while it names every member of the model.
    assert set(FULL_SCOPE) == set(ApiScope.model_fields)
    assert len(FULL_SCOPE) == 14
    assert all(member is not None for member in scope.model_dump().values())
    return scope


def minimal_service(name="minimal", **fields):
    return ServiceSpec.model_validate(
        {
            "version": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "container": {"image": "registry.test/image:1"},
            **fields,
        }
    )


def full_service(keys_secret, pull_secret, name="full"):
    """A service in a container; what only goes with `external` is in `external_service`."""
    return ServiceSpec.model_validate(
        {
            "version": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "description": "Ein Dienst – サービス 😀",
                "repo": "https://repo.test/x",
                "icon": "🤖",
                "annotations": {"meshagent.service.id": "full", "ключ": 'a "b"\n'},
            },
            "agents": [
                {
                    "name": "agent",
                    "description": "does things",
                    "annotations": {"meshagent.agent.type": "ChatBot"},
                },
                {"name": "agent"},
            ],
            "ports": [
                {
                    "num": "*",
                    "type": "http",
                    "liveness": "/health",
                    "published": True,
                    "public": False,
                    "annotations": {"p": "q"},
                    "endpoints": [
                        {
                            "path": "/agent",
                            "meshagent": {"identity": "agent", "api": FULL_SCOPE},
                            "annotations": {"e": "f"},
                        },
                        {
                            "path": "/mcp",
                            "mcp": {
                                "label": "tools",
                                "description": "some tools",
                                "allowed_tools": [
                                    {"tool_names": ["a", "b"], "read_only": True}
                                ],
                                "headers": {"x-header": "value"},
                                "require_approval": "always",
                                "oauth": {
                                    "client_id": "id",
                                    "client_secret": "secret",
                                    "authorization_endpoint": "https://auth.test/a",
                                    "token_endpoint": "https://auth.test/t",
                                    "no_pkce": True,
                                    "scopes": ["one", "two"],
                                },
                                "openai_connector_id": "connector",
                            },
                        },
                    ],
                },
                {"num": 65535, "type": "tcp", "endpoints": []},
            ],
            "container": {
                "image": "registry.test/image:{SERVER_VERSION}",
                "command": 'bash -c "echo hi"',
                "working_dir": "/work",
                "environment": [
                    {"name": "PLAIN", "value": "text"},
                    {
                        "name": "TOKEN",
                        "token": {"identity": "i", "api": FULL_SCOPE, "role": "agent"},
                    },
                    {"name": "SECRET", "secret": {"identity": "i", "id": "room-secret"}},
                    {"name": "", "value": ""},
                ],
                "secrets": [keys_secret],
                "pull_secret": pull_secret,
                "storage": {
                    "room": [{"path": "/r", "subpath": "s", "read_only": True}],
                    "project": [{"path": "/p", "subpath": "s", "read_only": False}],
                    "images": [
                        {
                            "image": "i:1",
                            "path": "/i",
                            "subpath": "s",
                            "read_only": False,
                        }
                    ],
                    "files": [
                        {"path": "/f", "text": "#!/bin/sh\n\ttab\n", "read_only": False}
                    ],
                    "empty_dirs": [{"path": "/e", "read_only": True}],
                },
                "api_key": {"role": "admin", "name": "key", "auto_provision": False},
                "on_demand": True,
                "writable_root_fs": True,
                "private": False,
            },
        }
    )


def external_service(name="external"):
    return ServiceSpec.model_validate(
        {
            "version": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "ports": [{"num": 443, "type": None, "endpoints": [{"path": "/"}]}],
            "external": {"url": "https://external.test/mcp"},
        }
    )


TEMPLATE = """\
version: v1
kind: ServiceTemplate
metadata:
  name: {{ name }}
  annotations:
    kept: "yes"
variables:
  - name: name
    title: Name
    description: the name
    obscure: true
    enum: [one, two, three]
    optional: true
    type: email
    annotations: {a: b}
agents:
  - name: {{ name | upper }}
ports:
  - num: 8080
container:
  image: "image:{SERVER_VERSION}"
  command: !template "{% raw %}run {{ name }}{% endraw %}"
{% if flag %}
  on_demand: true
{% endif %}
"""
