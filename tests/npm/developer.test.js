// What is logged in rooms.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { BinaryContent, ControlContent } = require("@meshagent/meshagent");
const { heard, newRoom, platform, refused, text, until } = require("./helper.js");

const server = platform();

/** Watches the logs as long as something is not the case, and collects them. */
function watch(client, isLast) {
    const events = [];
    const done = (async () => {
        for await (const event of client.developer.logs()) {
            events.push(event);
            if (isLast(event)) {
                return;
            }
        }
    })();
    return { events, done };
}

test("what is logged is seen by those who watch", async (t) => {
    const room = newRoom();
    const [ada, bob] = [await server.enter(t, room, "ada"), await server.enter(t, room, "bob")];
    const [fromBob, ofBob] = [watch(bob, (it) => it.name === "last"), heard(bob.developer, "log")];
    const fromAda = watch(ada, (it) => it.name === "last");
    await until(async () => {
        await ada.developer.log("first", { n: 1, deep: { ü: [null] } });
        return fromBob.events.length > 0 && fromAda.events.length > 0;
    });
    // The package has no words for levels of its own.
    for (const tool of ["info", "warning", "error"]) {
        assert.equal(ada.developer[tool], undefined);
        const input = { message: `an ${tool}`, extra: { k: "v" } };
        await ada.invoke({ toolkit: "developer", tool, input });
    }
    await ada.developer.log("last", {});
    await Promise.all([fromBob.done, fromAda.done]);
    for (const { events } of [fromBob, fromAda]) {
        assert.equal(events[0].name, "first");
        assert.deepEqual(events[0].data, { n: 1, deep: { ü: [null] } });
        const lines = events.filter((it) => it.name === "otel.log").map((it) => it.data);
        const records = lines.map((it) => it.resourceLogs[0].scopeLogs[0].logRecords[0]);
        assert.deepEqual(
            records.map((it) => [it.severityText, it.body.stringValue, it.attributes]),
            [["INFO", "info"], ["WARN", "warning"], ["ERROR", "error"]].map(([severity, tool]) => [
                severity,
                `an ${tool}`,
                [{ key: "k", value: { stringValue: "v" } }],
            ]),
        );
    }
    assert.deepEqual(ofBob.map(([, it]) => it.name), fromBob.events.map((it) => it.name));
});

test("who stops watching is told of the end, and can watch again", async (t) => {
    const room = newRoom();
    const [ada, bob] = [await server.enter(t, room, "ada"), await server.enter(t, room, "bob")];
    for (let round = 0; round < 3; round += 1) {
        let stop;
        const input = (async function* () {
            await new Promise((resolve) => (stop = resolve));
        })();
        const stream = await bob.invokeStream({ toolkit: "developer", tool: "logs", input });
        const chunks = stream[Symbol.asyncIterator]();
        await ada.developer.log("x", { round });
        const { value } = await chunks.next();
        assert(value instanceof BinaryContent);
        assert.deepEqual([value.headers.type, text(value.data)], ["x", JSON.stringify({ round })]);
        stop();
        const { value: end } = await chunks.next();
        assert(end instanceof ControlContent);
        assert.deepEqual([end.method, end.statusCode], ["close", 1000]);
        assert.equal((await chunks.next()).done, true);
        // Nobody hears this.
        await ada.developer.log("x", { round: -1 });
    }
});

test("what cannot be logged is refused", async (t) => {
    const ada = await server.enter(t, newRoom(), "ada");
    await refused(() => ada.developer.log(undefined, {}), 1002);
    await refused(() => ada.developer.log("x", []), 1002);
    await refused(() => ada.invoke({ toolkit: "developer", tool: "info", input: {} }), 1002);
    await refused(() => ada.invoke({ toolkit: "developer", tool: "none", input: {} }), 1003);
});
