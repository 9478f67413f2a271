// Services of rooms that run elsewhere.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { JsonContent, Meshagent, RemoteToolkit, Tool } = require("@meshagent/meshagent");
const { agentServer, newRoom, platform, refused, until } = require("./helper.js");

const server = platform();

/** A service at a URL. */
function external(name, url, path = "/") {
    return {
        version: "v1",
        kind: "Service",
        metadata: { name },
        external: { url },
        ports: [
            {
                num: 80,
                type: "http",
                endpoints: [{ path, meshagent: { identity: "calculator" } }],
            },
        ],
    };
}

class Double extends Tool {
    constructor() {
        super({ name: "double", description: "doubles a number", inputSchema: { type: "object" } });
    }

    async execute({ n }) {
        return new JsonContent({ json: { doubled: 2 * n } });
    }
}

/** How the services of a room are, by their names. */
async function states(client) {
    const { services, serviceStates } = await client.services.listWithState();
    const named = services.map((it) => [it.metadata.name, serviceStates[it.id]]);
    return Object.fromEntries(named.filter(([, state]) => state !== undefined));
}

/** Waits until a service is in a state. */
async function become(client, name, wanted) {
    return until(async () => {
        const state = (await states(client))[name];
        return state?.state === wanted && state;
    }, `${name} ${wanted}`);
}

test("external services are called when their room starts", async (t) => {
    const account = new Meshagent({ baseUrl: server.url, token: server.key });
    const calls = [];
    const offer = async (room) => {
        const about = { name: "math", title: "Math", description: "" };
        const toolkit = new RemoteToolkit({ ...about, room, tools: [new Double()] });
        await toolkit.start({ public_: true });
    };
    const url = await agentServer(t, offer, calls);
    const room = newRoom();
    const first = await server.enter(t, room, "ada");
    assert.deepEqual(await first.services.list(), []);
    assert.deepEqual(await first.services.listWithState(), { services: [], serviceStates: {} });
    const id = await account.createRoomService(server.project, room, external("math", url));
    const state = await become(first, "math", "running");
    assert.deepEqual([state.serviceId, state.restartCount], [id, 0]);
    assert(Math.abs(state.startedAt * 1000 - Date.now()) < 60_000);
    const [spec] = await first.services.list();
    assert.deepEqual([spec.id, spec.kind, spec.external.url], [id, "Service", url]);
    // The room ends with its last participant. When it starts anew, the service is called anew.
    for (const client of [calls[0].room, first]) {
        client.dispose();
        await client.closed;
    }
    const ada = await server.enter(t, room, "ada");
    await ada.messaging.enable();
    await until(async () => (await ada.listToolkits()).length === 1, "the toolkit of the service");
    const got = await ada.invoke({ toolkit: "math", tool: "double", input: { n: 21 } });
    assert.deepEqual(got.json, { doubled: 42 });
    assert.equal(calls.length, 2);
    for (const { event, data } of calls) {
        assert.deepEqual([event, data.room_name], ["room.call", room]);
    }
    assert.equal(ada.messaging.getParticipantByName("calculator"), null);
    await calls[1].room.messaging.enable();
    await until(() => ada.messaging.getParticipantByName("calculator")?.role === "agent");
    // It is called again when that is asked for.
    const before = await become(ada, "math", "running");
    await ada.services.restart({ serviceId: id });
    await until(async () => {
        const now = (await states(ada)).math;
        return now.state === "running" && now.restartCount === before.restartCount + 1;
    }, "a restart");
    await account.deleteRoomService(server.project, room, id);
    await until(async () => (await ada.services.list()).length === 0);
    await refused(() => ada.services.restart({ serviceId: id }), 7001);
});

test("a service that nobody answers for is called again", async (t) => {
    const account = new Meshagent({ baseUrl: server.url, token: server.key });
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const id = await account.createRoomService(
        server.project,
        room,
        external("nowhere", "http://127.0.0.1:1"),
    );
    const state = await become(ada, "nowhere", "failing");
    assert.equal(state.serviceId, id);
    await until(async () => (await states(ada)).nowhere.restartScheduledAt !== undefined);
    await until(async () => (await states(ada)).nowhere.restartCount >= 1);
});

test("a service that needs a container is listed, and not restarted", async (t) => {
    const account = new Meshagent({ baseUrl: server.url, token: server.key });
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const id = await account.createRoomService(server.project, room, {
        version: "v1",
        kind: "Service",
        metadata: { name: "boxed" },
        container: { image: "example/none:1" },
    });
    await until(async () => (await ada.services.list()).length === 1);
    const [spec] = await ada.services.list();
    assert.deepEqual([spec.id, spec.container.image], [id, "example/none:1"]);
    await until(async () => (await states(ada)).boxed);
    await refused(() => ada.services.restart({ serviceId: id }), 7002);
    await refused(() => ada.services.restart({ serviceId: "none" }), 7001);
    await refused(() => ada.services.restart({}), 1002);
});
