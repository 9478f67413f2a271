// Who enters rooms, and what the others see of it.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
    ApiScope,
    Meshagent,
    ParticipantToken,
    StorageGrant,
    StoragePathGrant,
    WebSocketClientProtocol,
    parseApiKey,
    websocketProtocol,
} = require("@meshagent/meshagent");
const { bytes, enter, heard, newRoom, platform, refused, scope, until } = require("./helper.js");

const server = platform();

test("a room is created by who enters it", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bob = await server.enter(t, room, "bob");
    assert.equal(await ada.ready, room);
    assert.equal(ada.localParticipant.getAttribute("name"), "ada");
    assert.equal(bob.localParticipant.getAttribute("name"), "bob");
    assert.notEqual(ada.localParticipant.id, bob.localParticipant.id);
});

test("a participant enters with the key of its project", async (t) => {
    const room = newRoom();
    assert.equal(parseApiKey(server.key).projectId, server.project);
    const protocol = await websocketProtocol({
        participantName: "ada",
        roomName: room,
        role: "agent",
        apiKey: server.key,
        apiUrl: server.url,
    });
    const ada = await enter(t, protocol);
    const bob = await server.enter(t, room, "bob");
    await ada.messaging.enable();
    await bob.messaging.enable();
    assert.equal(bob.messaging.getParticipantByName("ada").role, "agent");
});

test("an account connects to a room that is its project's", async (t) => {
    const account = new Meshagent({ baseUrl: server.url, token: server.key });
    const name = newRoom();
    await account.createRoom({ projectId: server.project, name });
    const { jwt, roomName, roomUrl, projectId } = await account.connectRoom(server.project, name);
    assert.deepEqual([roomName, projectId], [name, server.project]);
    const ada = await enter(t, new WebSocketClientProtocol({ url: roomUrl, token: jwt }));
    assert.equal(await ada.ready, name);
    assert.deepEqual(await ada.services.list(), []);
});

test("participants of messaging see each other", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const names = ["messaging_enabled", "participant_added", "participant_removed"];
    const seen = heard(ada.messaging, ...names, "participant_attributes_updated");
    assert.equal(ada.messaging.isEnabled, false);
    await ada.messaging.enable();
    assert.equal(ada.messaging.isEnabled, true);
    assert.deepEqual(ada.messaging.getParticipants(), []);
    const bot = await server.enter(t, room, "bot", { role: "agent" });
    await bot.localParticipant.setAttribute("mood", { is: ["good"] });
    await bot.queues.list();
    // Who has not enabled it is not seen.
    assert.deepEqual(ada.messaging.remoteParticipants, []);
    await bot.messaging.enable();
    const [me] = bot.messaging.remoteParticipants;
    assert.deepEqual([me.id, me.role, me.online], [ada.localParticipant.id, "user", true]);
    assert.equal(me.getAttribute("name"), "ada");
    const other = await until(() => ada.messaging.getParticipant(bot.localParticipant.id));
    assert.deepEqual([other.role, other.online], ["agent", true]);
    assert.equal(other.getAttribute("name"), "bot");
    assert.deepEqual(other.getAttribute("mood"), { is: ["good"] });
    assert.equal(ada.messaging.getParticipantByName("bot"), other);
    assert.equal(ada.messaging.getParticipantByName("eve"), null);
    for (const mood of ["bad", null, 1.5, ["ü"], { deep: { er: true } }]) {
        await bot.localParticipant.setAttribute("mood", mood);
        await until(() => JSON.stringify(other.getAttribute("mood")) === JSON.stringify(mood));
    }
    // The name is the token's.
    await bot.localParticipant.setAttribute("name", "eve");
    await bot.queues.list();
    await bot.localParticipant.setAttribute("last", true);
    await until(() => other.getAttribute("last"));
    assert.equal(other.getAttribute("name"), "bot");
    await bot.messaging.disable();
    assert.equal(bot.messaging.isEnabled, false);
    await until(() => ada.messaging.remoteParticipants.length === 0);
    assert.equal(other.online, false);
    // Saying it twice changes nothing.
    await bot.messaging.disable();
    await bot.messaging.enable();
    await bot.messaging.enable();
    await until(() => ada.messaging.getParticipantByName("bot"));
    bot.dispose();
    await until(() => ada.messaging.remoteParticipants.length === 0);
    assert.deepEqual(
        seen.map(([name]) => name).filter((name) => names.includes(name)),
        [
            "messaging_enabled",
            "participant_added",
            "participant_removed",
            "participant_added",
            "participant_removed",
        ],
    );
});

test("a participant with the name of another is another one", async (t) => {
    const room = newRoom();
    const [first, second, ada] = [
        await server.enter(t, room, "twin"),
        await server.enter(t, room, "twin"),
        await server.enter(t, room, "ada"),
    ];
    for (const client of [first, second, ada]) {
        await client.messaging.enable();
    }
    const ids = ada.messaging.remoteParticipants.map((it) => it.id).sort();
    assert.deepEqual(ids, [first.localParticipant.id, second.localParticipant.id].sort());
    first.dispose();
    await until(() => ada.messaging.remoteParticipants.length === 1);
    assert.equal(ada.messaging.getParticipantByName("twin").id, second.localParticipant.id);
});

test("who has no right to a room stays outside", async (t) => {
    const room = newRoom();
    await server.enter(t, room, "ada");
    const wrong = [
        server.signed(room, "eve", { secret: "another secret of at least thirty-two bytes" }),
        server.signed(room, "eve", { expiration: new Date(Date.now() - 3_600_000) }),
        server.signed(newRoom(), "eve"),
        Promise.resolve("no token"),
        Promise.resolve(""),
    ];
    for (const token of await Promise.all(wrong)) {
        await assert.rejects(server.enter(t, room, "eve", { token }), /40[13]/);
    }
});

test("who has no scope may enter and do nothing", async (t) => {
    const room = newRoom();
    const eve = await server.enter(t, room, "eve", { api: null });
    for (const ask of [
        () => eve.messaging.enable(),
        () => eve.queues.list(),
        () => eve.storage.list(""),
        () => eve.storage.upload("x", bytes("x")),
        () => eve.developer.log("x", {}),
        () => eve.services.list(),
        () => eve.listToolkits(),
        () => eve.call({ name: "x", url: "http://127.0.0.1:1/", arguments: {} }),
    ]) {
        await refused(ask, 1001);
    }
});

test("a scope is what may be done", async (t) => {
    const room = newRoom();
    const owner = await server.enter(t, room, "owner");
    const ada = await server.enter(t, room, "ada", {
        api: scope({
            queues: { send: ["in"], receive: ["out"], list: false },
            messaging: { broadcast: false, list: false },
            storage: { paths: [{ path: "mine/" }, { path: "shared", read_only: true }] },
        }),
    });
    await owner.storage.upload("shared/x", bytes("x"));
    await owner.queues.send("out", {}, {});
    await ada.queues.send("in", {}, {});
    assert.deepEqual(await ada.queues.receive("out", {}), {});
    await ada.storage.upload("mine/x", bytes("x"));
    assert.deepEqual((await ada.storage.download("shared/x")).data, bytes("x"));
    await owner.messaging.enable();
    await ada.messaging.enable();
    assert.deepEqual(ada.messaging.remoteParticipants, []);
    for (const ask of [
        () => ada.queues.receive("in", {}),
        () => ada.queues.send("out", {}, {}),
        () => ada.queues.list(),
        () => ada.queues.drain("in"),
        () => ada.storage.upload("shared/x", bytes("y"), { overwrite: true }),
        () => ada.storage.delete("shared/x"),
        () => ada.storage.download("other"),
        () => ada.storage.downloadUrl("other"),
        () => ada.messaging.broadcastMessage({ type: "x", message: {} }),
        () => ada.developer.log("x", {}),
        () => ada.services.list(),
    ]) {
        await refused(ask, 1001);
    }
});

test("some grants of the package are spelled as no server reads them", async (t) => {
    // Scopes are sent with the names that their fields have in JavaScript. A server knows this one
    // as `read_only`, so what is meant as a restriction says nothing to it.
    const paths = [new StoragePathGrant({ path: "shared", readOnly: true })];
    const api = new ApiScope({ storage: new StorageGrant({ paths }) });
    const { grants } = await ParticipantToken.fromJwt(await server.signed("room", "ada", { api }), {
        verify: false,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(grants.at(-1).scope)), {
        storage: { paths: [{ path: "shared", readOnly: true }] },
    });
    // All that it calls full says nothing of services.
    const ada = await server.enter(t, newRoom(), "ada", { api: ApiScope.full() });
    await refused(() => ada.services.list(), 1001);
});

test("a client that is disposed of ends what it waits for", async (t) => {
    const ada = await server.enter(t, newRoom(), "ada");
    const waiting = assert.rejects(ada.queues.receive("q", {}), /Disposed/);
    await ada.queues.list();
    ada.dispose();
    await waiting;
    await ada.closed;
    assert.equal(ada.localParticipant, null);
});

test("a participant that is put out of the room is gone for the others", async (t) => {
    const room = newRoom();
    const [ada, bob] = [await server.enter(t, room, "ada"), await server.enter(t, room, "bob")];
    await ada.messaging.enable();
    await bob.messaging.enable();
    const waiting = ada.queues.receive("q", {}).catch((error) => error.message);
    await ada.queues.list();
    // Attributes are no place for files.
    await ada.localParticipant.setAttribute("file", "x".repeat(100_000));
    // What the package waits for does not end with the connection, but with the client.
    assert.equal(await Promise.race([waiting, ada.closed.then(() => "closed")]), "closed");
    await until(() => bob.messaging.remoteParticipants.length === 0);
    await bob.queues.send("q", { n: 1 }, {});
    assert.deepEqual(await bob.queues.receive("q", { wait: false }), { n: 1 });
    ada.dispose();
    assert.equal(await waiting, "Disposed");
});
