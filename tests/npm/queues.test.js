// Queues of rooms.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { TextContent } = require("@meshagent/meshagent");
const { newRoom, platform, refused, until } = require("./helper.js");

const server = platform();

/** The queues of a room, as names and sizes. */
const listed = async (client) => (await client.queues.list()).map((it) => [it.name, it.size]);

test("queues deliver each message once and in order", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bob = await server.enter(t, room, "bob");
    assert.deepEqual(await listed(ada), []);
    // Who waits makes the queue.
    const waiting = bob.queues.receive("jobs", { wait: true });
    await until(async () => (await listed(ada)).length === 1);
    await ada.queues.send("jobs", { n: 0 }, { create: false });
    assert.deepEqual(await waiting, { n: 0 });
    const messages = [{ n: 1 }, { n: 2, x: [null, 1.5, "ü"] }, { n: 3 }];
    for (const message of messages) {
        await ada.queues.send("jobs", message, {});
    }
    assert.deepEqual(await listed(bob), [["jobs", 3]]);
    for (const message of messages) {
        assert.deepEqual(await bob.queues.receive("jobs", { wait: false }), message);
    }
    assert.equal(await bob.queues.receive("jobs", { wait: false }), null);
    assert.equal(await bob.queues.receive("new", { wait: false }), null);
    assert.deepEqual(await listed(ada), [["jobs", 0], ["new", 0]]);
});

test("many senders and receivers lose nothing", async (t) => {
    const room = newRoom();
    const clients = [];
    for (const name of ["a", "b", "c", "d"]) {
        clients.push(await server.enter(t, room, name));
    }
    const received = clients.flatMap((client) =>
        Array.from({ length: 25 }, () => client.queues.receive("jobs", {})),
    );
    const sent = clients.map(async (client, who) => {
        for (let n = 0; n < 25; n += 1) {
            await client.queues.send("jobs", { n: 25 * who + n }, {});
        }
    });
    await Promise.all(sent);
    const numbers = (await Promise.all(received)).map((it) => it.n).sort((a, b) => a - b);
    assert.deepEqual(numbers, [...Array(100).keys()]);
    assert.deepEqual(await listed(clients[0]), [["jobs", 0]]);
});

test("a message may be any JSON, of which the package does not take texts", async (t) => {
    const ada = await server.enter(t, newRoom(), "ada");
    for (const message of [[1, { a: [] }], 7, -0.5, true, { long: "x".repeat(100_000) }]) {
        await ada.queues.send("q", message, {});
        assert.deepEqual(await ada.queues.receive("q", { wait: false }), message);
    }
    // A text is delivered as a text, which `receive` of the package takes for a mistake.
    await ada.queues.send("q", "only text", {});
    const receive = () => ada.queues.receive("q", { wait: false });
    await refused(receive, undefined, /^unexpected return type from queues.receive$/);
    await ada.queues.send("q", "only text", {});
    const input = { name: "q", create: true, wait: false };
    const got = await ada.invoke({ toolkit: "queues", tool: "receive", input });
    assert(got instanceof TextContent);
    assert.equal(got.text, "only text");
    // It also takes no call without options.
    await assert.rejects(ada.queues.send("q", {}), TypeError);
    await assert.rejects(ada.queues.receive("q"), TypeError);
    assert.deepEqual(await listed(ada), [["q", 0]]);
});

test("a receiver that leaves takes nothing with it", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    const bob = await server.enter(t, room, "bob");
    const waiting = assert.rejects(bob.queues.receive("jobs", {}), /Disposed/);
    await until(async () => (await listed(ada)).length === 1);
    bob.dispose();
    await waiting;
    await bob.closed;
    await ada.queues.send("jobs", { n: 1 }, {});
    assert.deepEqual(await ada.queues.receive("jobs", { wait: false }), { n: 1 });
});

test("queues are opened, drained and closed, and outlive their room", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada");
    await ada.queues.open("q");
    await refused(() => ada.queues.open("q"), 5002);
    await ada.queues.send("q", { n: 1 }, {});
    await ada.queues.drain("q");
    assert.deepEqual(await listed(ada), [["q", 0]]);
    await ada.queues.send("q", { n: 2 }, {});
    await ada.queues.close("q");
    await refused(() => ada.queues.send("q", {}, {}), 1006);
    await refused(() => ada.queues.receive("q", { wait: false }), 1006);
    for (const ask of [
        () => ada.queues.send("none", {}, { create: false }),
        () => ada.queues.receive("none", { create: false, wait: false }),
        () => ada.queues.receive("none", { create: false }),
        () => ada.queues.drain("none"),
        () => ada.queues.close("none"),
    ]) {
        await refused(ask, 5001);
    }
    ada.dispose();
    await ada.closed;
    const bob = await server.enter(t, room, "bob");
    await bob.queues.open("q");
    assert.deepEqual(await bob.queues.receive("q", { wait: false }), { n: 2 });
});
