// Agents that are called to rooms.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { JsonContent, ParticipantToken, RemoteToolkit, Tool } = require("@meshagent/meshagent");
const { agentServer, newRoom, platform, refused, scope, until } = require("./helper.js");

const server = platform();

class Greet extends Tool {
    constructor(words) {
        super({ name: "greet", title: "Greet", description: "greets" });
        this.words = words;
    }

    async execute({ name }) {
        return new JsonContent({ json: { text: `${this.words}, ${name}` } });
    }
}

/** Offers a toolkit that greets, with the words that the call names. */
async function greet(room, { arguments: { words } }) {
    const tools = [new Greet(words)];
    const toolkit = new RemoteToolkit({ name: "kit", title: "", description: "", room, tools });
    await toolkit.start({ public_: true });
}

test("an agent is called to the room by its address", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    await ada.messaging.enable();
    const calls = [];
    const url = await agentServer(t, greet, calls);
    await ada.agents.call({ name: "bot", url: `${url}/greet`, arguments: { words: "good day" } });
    await until(async () => (await ada.listToolkits()).length === 1, "its toolkit");
    const input = { name: "ada" };
    const got = await ada.invoke({ toolkit: "kit", tool: "greet", input });
    assert.deepEqual(got.json, { text: "good day, ada" });
    const [{ event, data, path, room: bot }] = calls;
    assert.deepEqual([event, path, data.room_name], ["room.call", "/greet", room]);
    await bot.messaging.enable();
    const seen = await until(() => ada.messaging.getParticipantByName("bot"));
    assert.equal(seen.role, "agent");
    const token = await ParticipantToken.fromJwt(data.token, { verify: false });
    assert.deepEqual([token.name, token.role, token.grantScope("room")], ["bot", "agent", room]);
    bot.dispose();
    await until(async () => (await ada.listToolkits()).length === 0);
    await until(() => !seen.online);
});

test("an agent gets no more rights than it is called with", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const calls = [];
    const url = await agentServer(t, async () => {}, calls);
    const api = { queues: { send: ["a"], list: false } };
    await ada.call({ name: "bot", url, arguments: {}, api });
    await until(() => calls[0]?.room);
    const bot = calls[0].room;
    await bot.queues.send("a", { n: 1 }, {});
    assert.deepEqual(await ada.queues.receive("a", {}), { n: 1 });
    await refused(() => bot.queues.send("b", {}, {}), 1001);
    await refused(() => bot.queues.list(), 1001);
    await refused(() => bot.storage.upload("x", new Uint8Array()), 1001);
    // Nor more than who calls it.
    const few = { agents: {}, queues: { send: ["a"] } };
    const bob = await server.enter(t, room, "bob", { api: scope(few) });
    const ask = (api) => () => bob.call({ name: "bot", url, arguments: {}, api });
    await refused(ask({ queues: {} }), 1001, /more than the caller has/);
    await refused(ask({ storage: {} }), 1001, /more than the caller has/);
    await ask(undefined)();
    await until(() => calls[1]?.room);
    await calls[1].room.queues.send("a", {}, {});
    await refused(() => calls[1].room.queues.send("b", {}, {}), 1001);
    const none = { agents: { call: false } };
    const eve = await server.enter(t, room, "eve", { api: scope(none) });
    await refused(() => eve.call({ name: "bot", url, arguments: {} }), 1001);
    assert.equal(calls.length, 2);
});

test("a call that nobody follows is refused", async (t) => {
    const ada = await server.enter(t, newRoom(), "ada");
    const url = await agentServer(t, async () => {});
    for (const wrong of ["http://127.0.0.1:1/x", `${url}/none`]) {
        await refused(() => ada.call({ name: "bot", url: wrong, arguments: {} }), 1008);
    }
    for (const wrong of ["ftp://127.0.0.1/", "word", ""]) {
        await refused(() => ada.call({ name: "bot", url: wrong, arguments: {} }), 1002);
    }
});

test("schemas and the toolkit for files are called as agents do", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const call = (what) =>
        ada.call({ name: what, url: `http://localhost:8080/${what}`, arguments: {} });
    await call("schemas/thread");
    assert.deepEqual((await ada.storage.list(".schemas")).map((it) => it.name), ["thread.json"]);
    await call("toolkits/storage");
    const [listed] = await until(async () => {
        const listed = await ada.listToolkits();
        return listed.length > 0 && listed;
    });
    assert.equal(listed.name, "storage");
    await ada.storage.upload("a.txt", new TextEncoder().encode("one\ntwo\n"));
    const input = { path: "a.txt" };
    const got = await ada.invoke({ toolkit: "storage", tool: "read_file", input });
    assert.match(JSON.stringify(got), /two/);
});
