// Messages between participants.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { allBytes, bytes, newRoom, platform, refused, until } = require("./helper.js");

const server = platform();

/** Participants who all take part in messaging, and the messages that each has got. */
async function talking(t, room, ...names) {
    const clients = [];
    for (const name of names) {
        const client = await server.enter(t, room, name);
        client.got = [];
        client.messaging.on("message", ({ message }) => {
            if (!/^(messaging|participant)\./.test(message.type)) {
                client.got.push(message);
            }
        });
        await client.messaging.enable();
        clients.push(client);
    }
    const isComplete = (it) => it.messaging.remoteParticipants.length === names.length - 1;
    await until(() => clients.every(isComplete));
    return clients;
}

/** How one participant sees another. */
const seen = (by, client) => by.messaging.getParticipant(client.localParticipant.id);

test("messages reach whom they are for, in order and with what is attached", async (t) => {
    const [ada, bob, eve] = await talking(t, newRoom(), "ada", "bob", "eve");
    const to = seen(ada, bob);
    const sent = [];
    for (let n = 0; n < 50; n += 1) {
        const attachment = allBytes(n * n);
        sent.push(ada.messaging.sendMessage({ to, type: "chat", message: { n }, attachment }));
    }
    await Promise.all(sent);
    await until(() => bob.got.length === 50);
    for (const [n, message] of bob.got.entries()) {
        assert.deepEqual(
            [message.fromParticipantId, message.type, message.message, message.local],
            [ada.localParticipant.id, "chat", { n }, false],
        );
        assert.deepEqual(Buffer.from(message.attachment), Buffer.from(allBytes(n * n)));
    }
    await bob.messaging.sendMessage({ to: seen(bob, ada), type: "ü", message: { "": [null, "\0"] } });
    await until(() => ada.got.length === 1);
    assert.deepEqual([ada.got[0].type, ada.got[0].message], ["ü", { "": [null, "\0"] }]);
    assert.equal(ada.got[0].attachment.length, 0);
    assert.deepEqual(eve.got, []);
});

test("a message may be long, and one to oneself arrives", async (t) => {
    const [ada, bob] = await talking(t, newRoom(), "ada", "bob");
    const message = { text: "ü".repeat(100_000) };
    const attachment = allBytes(300_000);
    await ada.messaging.sendMessage({ to: seen(ada, bob), type: "long", message, attachment });
    await until(() => bob.got.length === 1);
    assert.deepEqual(bob.got[0].message, message);
    assert(Buffer.from(attachment).equals(bob.got[0].attachment));
    await ada.messaging.sendMessage({ to: ada.localParticipant, type: "self", message: {} });
    await until(() => ada.got.length === 1);
    assert.equal(ada.got[0].fromParticipantId, ada.localParticipant.id);
});

test("broadcasts reach all others who take part", async (t) => {
    const room = newRoom();
    const [ada, bob, eve] = await talking(t, room, "ada", "bob", "eve");
    const silent = await server.enter(t, room, "silent");
    const nothing = [];
    silent.messaging.on("message", (event) => nothing.push(event));
    await ada.messaging.broadcastMessage({ type: "a", message: { x: 1 } });
    // Who does not take part can still send.
    const attachment = bytes("ü");
    await silent.messaging.broadcastMessage({ type: "b", message: {}, attachment });
    await until(() => bob.got.length === 2 && eve.got.length === 2 && ada.got.length === 1);
    for (const client of [bob, eve]) {
        const told = client.got.map((it) => [it.type, it.fromParticipantId]);
        assert.deepEqual(told, [
            ["a", ada.localParticipant.id],
            ["b", silent.localParticipant.id],
        ]);
        assert.deepEqual(Buffer.from(client.got[1].attachment), Buffer.from(attachment));
    }
    assert.deepEqual(ada.got.map((it) => it.type), ["b"]);
    await silent.queues.list();
    assert.deepEqual(nothing, []);
});

test("nobody is sent a message after leaving", async (t) => {
    const [ada, bob, eve] = await talking(t, newRoom(), "ada", "bob", "eve");
    const [toBob, toEve] = [seen(ada, bob), seen(ada, eve)];
    await bob.messaging.disable();
    await until(() => !toBob.online);
    const to = toBob;
    // The package knows that by itself, and says so without a number.
    const lost = { to, type: "x", message: {} };
    await refused(() => ada.messaging.sendMessage(lost), undefined, /^the participant was not found$/);
    await ada.messaging.sendMessage({ ...lost, ignoreOffline: true });
    // The server says it in the same words.
    const send = { type: "x", message_json: "{}" };
    for (const id of [bob.localParticipant.id, "nobody", ""]) {
        const input = { ...send, to_participant_id: id };
        const ask = () => ada.invoke({ toolkit: "messaging", tool: "send", input });
        await refused(ask, 1003, /^the participant was not found$/);
    }
    // A participant that is gone without being announced yet is removed by the answer.
    const removed = [];
    await ada.messaging.disable();
    await eve.messaging.disable();
    ada.messaging.on("participant_removed", (event) => removed.push(event.message));
    assert.equal(toEve.online, true);
    await refused(() => ada.messaging.sendMessage({ ...lost, to: toEve }), 1003);
    assert.deepEqual([toEve.online, removed.length, removed[0].local], [false, 1, true]);
    assert.equal(seen(ada, eve), null);
    assert.deepEqual([bob.got, eve.got], [[], []]);
});

test("messages are sent without waiting, until messaging is stopped", async (t) => {
    const [ada, bob] = await talking(t, newRoom(), "ada", "bob");
    const to = seen(ada, bob);
    for (let n = 0; n < 20; n += 1) {
        ada.messaging.sendMessageNowait({ to, type: "n", message: { n }, attachment: bytes(`${n}`) });
    }
    await ada.messaging.stop();
    await until(() => bob.got.length === 20);
    assert.deepEqual(bob.got.map((it) => it.message.n), [...Array(20).keys()]);
    const late = () => ada.messaging.sendMessage({ to, type: "late", message: {} });
    await refused(late, undefined, /has not been started/);
    // For the others, the participant is still there.
    assert(seen(bob, ada).online);
    await ada.messaging.start();
    await late();
    await until(() => bob.got.length === 21);
});

test("who sent a message is the server's word", async (t) => {
    const [ada, bob, eve] = await talking(t, newRoom(), "ada", "bob", "eve");
    const input = {
        to_participant_id: bob.localParticipant.id,
        from_participant_id: eve.localParticipant.id,
        type: "x",
        message_json: '{"from_participant_id": "eve"}',
    };
    await ada.invoke({ toolkit: "messaging", tool: "send", input });
    await until(() => bob.got.length === 1);
    assert.equal(bob.got[0].fromParticipantId, ada.localParticipant.id);
    for (const wrong of [
        { message_json: "{" },
        { message_json: "[]" },
        { attachment_base64: "?" },
        { message_json: undefined },
    ]) {
        const ask = () =>
            ada.invoke({ toolkit: "messaging", tool: "send", input: { ...input, ...wrong } });
        await refused(ask, 1002);
    }
    assert.equal(bob.got.length, 1);
});

test("messages of streams are messages like others", async (t) => {
    // The package has no streams between participants since 0.35.7. What those of older ones send
    // is handed to the application.
    const [ada, bob] = await talking(t, newRoom(), "ada", "bob");
    assert.equal(ada.messaging.createStream, undefined);
    const to = seen(ada, bob);
    const header = { stream_id: "s" };
    for (const type of ["stream.open", "stream.chunk", "stream.close"]) {
        await ada.messaging.sendMessage({ to, type, message: header, attachment: bytes(type) });
    }
    await until(() => bob.got.length === 3);
    assert.deepEqual(
        bob.got.map((it) => [it.type, it.message, Buffer.from(it.attachment).toString()]),
        ["stream.open", "stream.chunk", "stream.close"].map((it) => [it, header, it]),
    );
});

test("a room tells each of its messages as an event", async (t) => {
    const [ada, bob] = await talking(t, newRoom(), "ada", "bob");
    const events = bob.listen()[Symbol.asyncIterator]();
    const next = events.next();
    await ada.messaging.broadcastMessage({ type: "x", message: { y: 1 } });
    const { value } = await next;
    assert.deepEqual([value.name, value.message.message], ["x", { y: 1 }]);
    await events.return();
});
