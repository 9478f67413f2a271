// Secrets of rooms.

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { once } = require("node:events");
const http = require("node:http");
const { test } = require("node:test");

const { SecretsClient } = require("@meshagent/meshagent");
const { allBytes, bytes, newRoom, platform, refused, scope, text } = require("./helper.js");

const server = platform();

const OWN = { api: scope({ secrets: {} }) };

/** Has a participant answer what it is asked for. */
function answering(client, handlers) {
    client.secrets = new SecretsClient({ room: client, ...handlers });
    return client;
}

test("secrets are stored, listed, read and deleted", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada", OWN);
    const bob = await server.enter(t, room, "bob", OWN);
    const value = allBytes(5000);
    await ada.secrets.setSecret({ secretId: "key", mimeType: "text/x", name: "Key", data: value });
    await ada.secrets.setSecret({ secretId: "key", delegatedTo: "bob", data: bytes("for bob") });
    const told = (await ada.secrets.listSecrets()).map((it) => ({ ...it }));
    assert.deepEqual(told, [
        { id: "key", type: "text/x", name: "Key", delegatedTo: null },
        { id: "key", type: "application/octet-stream", name: "key", delegatedTo: "bob" },
    ]);
    const found = await ada.secrets.getSecret({ secretId: "key" });
    assert.deepEqual([found.name, found.mimeType], ["Key", "text/x"]);
    assert.deepEqual(Uint8Array.from(found.data), value);
    const delegated = await bob.secrets.getSecret({ secretId: "key", delegatedTo: "bob" });
    assert.equal(text(delegated.data), "for bob");
    assert.equal(await bob.secrets.getSecret({ secretId: "key" }), null);
    await refused(() => bob.secrets.deleteSecret({ secretId: "key", delegatedTo: "bob" }), 1003);
    await ada.secrets.deleteSecret({ secretId: "key", delegatedTo: "bob" });
    assert.equal(await bob.secrets.getSecret({ secretId: "key", delegatedTo: "bob" }), null);
    const forEve = { secretId: "key", forIdentity: "eve", data: value };
    await refused(() => ada.secrets.setSecret(forEve), 1001);
    const admin = await server.enter(t, room, "admin", { api: scope({ secrets: {}, admin: {} }) });
    await admin.secrets.setSecret(forEve);
    const eve = await server.enter(t, room, "eve", OWN);
    assert.deepEqual(Uint8Array.from((await eve.secrets.getSecret({ name: "key" })).data), value);
});

test("a participant is asked for a secret", async (t) => {
    const room = newRoom();
    const ada = await server.enter(t, room, "ada", OWN);
    const bob = await server.enter(t, room, "bob", OWN);
    const heard = [];
    let answered;
    answering(bob, {
        secretRequestHandler: ({ requestId, ...request }) => {
            heard.push(request);
            answered =
                request.url === "no"
                    ? bob.secrets.rejectSecret({ requestId, error: "not today" })
                    : bob.secrets.provideSecret({ requestId, data: allBytes(300) });
            return answered;
        },
    });
    const whom = { type: "t", fromParticipantId: bob.localParticipant.id };
    const ask = (url) => ada.secrets.requestSecret({ url, ...whom });
    assert.deepEqual(Uint8Array.from(await ask("yes")), allBytes(300));
    assert.deepEqual(Uint8Array.from(await ask("yes")), allBytes(300));
    assert.deepEqual(heard, [{ url: "yes", type: "t", delegateTo: null }]);
    await ada.secrets.deleteRequestedSecret({ url: "yes", type: "t" });
    await ask("yes");
    assert.equal(heard.length, 2);
    await refused(() => ask("no"), 1008, /declined: not today$/);
    await answered;
    await refused(() => ada.secrets.requestSecret({ url: "u", ...whom, fromParticipantId: "x" }), 1003);
});

test("a participant signs in for another one", async (t) => {
    const room = newRoom();
    const forms = [];
    const endpoint = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request) {
            parts.push(part);
        }
        forms.push(new URLSearchParams(Buffer.concat(parts).toString()));
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ access_token: "token", expires_in: 3600 }));
    });
    endpoint.listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    t.after(() => {
        endpoint.close();
        endpoint.closeAllConnections();
    });
    const ada = await server.enter(t, room, "ada", OWN);
    const bob = await server.enter(t, room, "bob", OWN);
    let heard, answered;
    answering(bob, {
        oauthTokenRequestHandler: ({ requestId, ...request }) => {
            heard = request;
            answered =
                request.scopes === null
                    ? bob.secrets.rejectOAuthAuthorization({ requestId, error: "cancelled" })
                    : bob.secrets.provideOAuthAuthorization({ requestId, code: "code" });
            return answered;
        },
    });
    const oauth = {
        client_id: "app",
        authorization_endpoint: "https://accounts.invalid/authorize",
        token_endpoint: `http://127.0.0.1:${endpoint.address().port}/token`,
        scopes: ["a"],
    };
    const ask = (oauth) =>
        ada.secrets.requestOAuthToken({
            oauth,
            fromParticipantId: bob.localParticipant.id,
            redirectUri: new URL("http://localhost/back"),
        });
    assert.equal(await ada.secrets.getOfflineOAuthToken({ oauth }), null);
    assert.equal(await ask(oauth), "token");
    assert.deepEqual([heard.clientId, heard.scopes], ["app", ["a"]]);
    assert.equal(heard.authorizationEndpoint, oauth.authorization_endpoint);
    const digest = crypto.createHash("sha256").update(forms[0].get("code_verifier"));
    assert.equal(heard.challenge, digest.digest("base64url"));
    assert.deepEqual([forms[0].get("code"), forms[0].get("redirect_uri")], ["code", "http://localhost/back"]);
    assert.equal(await ask(oauth), "token");
    assert.equal(await ada.secrets.getOfflineOAuthToken({ oauth }), "token");
    assert.equal(await bob.secrets.getOfflineOAuthToken({ oauth }), null);
    assert.equal(forms.length, 1);
    await refused(() => ask({ ...oauth, scopes: null }), 1008, /declined: cancelled$/);
    await answered;
});
