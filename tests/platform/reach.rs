//! What is within reach of who builds in a project of 0.56: which secrets a service of theirs may
//! name, and whom they learn of.

use serde_json::{Value, json};

use super::harness::{Reply, Server};

/// Somebody who builds in the project.
struct Builder<'a> {
    server: &'a Server,
    key: String,
}

impl<'a> Builder<'a> {
    async fn join(server: &'a Server, user: &str) -> Self {
        let flags = json!({"user_id": user, "is_developer": true});
        server.send("POST", "/users", flags).await.expect(201);
        Self { server, key: server.key_for_user(user).await }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let ask = self.server.ask(method, path).bearer(&self.key);
        ask.header("consistency", "fast").json(&body).send().await
    }

    /// A secret of their own.
    async fn secret(&self) -> String {
        let new = json!({"project_id": self.server.project, "name": "token", "type": "opaque"});
        let made = self.send("POST", "/accounts/users/me/secrets", new).await.expect(201);
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Names a secret in a service that acts for an account.
    async fn service(&self, name: &str, secret: &str, account: &str) -> Reply {
        let path = format!("/accounts/projects/{}/services", self.server.project);
        self.send("POST", &path, acting(name, secret, account)).await
    }

    /// Lets an account use a secret of theirs, or not any more.
    async fn proxy(&self, verb: &str, secret: &str, account: &str) -> Reply {
        let path = format!("/accounts/users/me/secrets/{secret}/access:{verb}-proxy");
        let subject = json!({"type": "service_account", "id": account});
        self.send("POST", &path, json!({ "subject": subject })).await
    }
}

fn acting(name: &str, secret: &str, account: &str) -> Value {
    json!({
        "version": "v1", "kind": "Service", "metadata": {"name": name},
        "container": {
            "image": "busybox", "run_as": {"email": account, "scopes": ["secrets:read"]},
            "environment": [{"name": "TOKEN", "secret": {"id": secret}}],
        },
    })
}

async fn email(server: &Server, account: &str) -> String {
    let read = server.read(&format!("/service-accounts/{account}")).await.expect(200);
    read.json()["email"].as_str().expect("an address").to_owned()
}

#[tokio::test]
async fn a_service_names_no_secret_of_somebody_else() {
    let server = Server::start().await;
    let ada = Builder::join(&server, "ada").await;
    let bob = Builder::join(&server, "bob").await;
    let (account, _) = server.account("robot").await;
    let robot = email(&server, &account).await;
    let secret = ada.secret().await;
    ada.service("own", &secret, &robot).await.expect(201);
    // Whoever guesses the id learns nothing by it: it reads as one that there is not.
    let refused = bob.service("stolen", &secret, &robot).await.expect(400).json();
    let unknown = bob.service("stolen", "nothing", &robot).await.expect(400).json();
    let told = |body: &Value| body.to_string().replace(&secret, "nothing");
    assert_eq!(told(&refused), told(&unknown));
    // Nor does he change what another service does with it.
    let list = server.own("GET", "/services").header("consistency", "fast").send().await;
    let id = list.expect(200).json()["services"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/accounts/projects/{}/services/{id}", server.project);
    bob.send("PUT", &path, acting("own", &secret, &robot)).await.expect(400);
    // Only its owner lets an account use it, and only one of the secret's project.
    bob.proxy("grant", &secret, &account).await.expect(404);
    ada.proxy("grant", &secret, "nobody").await.refuses("subject.id");
    ada.proxy("grant", &secret, &account).await.expect(200);
    bob.service("lent", &secret, &robot).await.expect(201);
    let (other, _) = server.account("other").await;
    bob.service("more", &secret, &email(&server, &other).await).await.expect(400);
    ada.proxy("revoke", &secret, &account).await.expect(200);
    bob.service("again", &secret, &robot).await.expect(400);
}

#[tokio::test]
async fn a_service_names_secrets_of_its_own_account_only() {
    let server = Server::start().await;
    let ada = Builder::join(&server, "ada").await;
    let (account, _) = server.account("robot").await;
    let (other, _) = server.account("other").await;
    let path = format!("/accounts/projects/{}/service-accounts/{account}/secrets", server.project);
    let made = ada.send("POST", &path, json!({"name": "token", "type": "opaque"})).await;
    let secret = made.expect(201).json()["id"].as_str().expect("an id").to_owned();
    ada.service("own", &secret, &email(&server, &account).await).await.expect(201);
    ada.service("others", &secret, &email(&server, &other).await).await.expect(400);
}

#[tokio::test]
async fn nobody_learns_of_people_of_other_projects() {
    let server = Server::start().await;
    let ada = Builder::join(&server, "ada").await;
    let (elsewhere, _) = server.other_project("elsewhere").await;
    let path = format!("/accounts/projects/{elsewhere}/users");
    let eve = json!({"user_id": "eve@example.com"});
    server.ask("POST", &path).bearer(&server.owner).json(&eve).send().await.expect(201);
    let project = format!("/accounts/projects/{}", server.project);
    for given in [
        json!({"type": "user", "email": "eve@example.com"}),
        json!({"type": "user", "id": "nobody"}),
    ] {
        let body = json!({
            "subject": given, "relation": "admin",
            "resource": {"type": "project", "id": server.project},
        });
        for ask in ["test", "effective", "bindings"] {
            ada.send("POST", &format!("{project}/access:{ask}"), body.clone())
                .await
                .refuses("subject.id");
        }
    }
}

/// As `docs/embedded.md` says.
#[tokio::test]
async fn values_of_an_accounts_secrets_are_read_by_who_builds_and_a_users_by_that_user() {
    let server = Server::start().await;
    let ada = Builder::join(&server, "ada").await;
    let bob = Builder::join(&server, "bob").await;
    server.send("POST", "/users", json!({"user_id": "eve"})).await.expect(201);
    let eve = Builder { server: &server, key: server.key_for_user("eve").await };
    let (admin, _) = server.account("adm").await;
    server.granted(&admin, "admin").await;
    let secrets = format!("/accounts/projects/{}/service-accounts/{admin}/secrets", server.project);
    let made = ada.send("POST", &secrets, json!({"name": "token", "type": "opaque"})).await;
    let of_account = made.expect(201).json()["id"].as_str().expect("an id").to_owned();
    let own = ada.secret().await;
    for (secret, others) in [
        (format!("{secrets}/{of_account}"), [200, 403]),
        (format!("/accounts/users/me/secrets/{own}"), [404, 404]),
    ] {
        let version = json!({"value_base64": "dG9wLXNlY3JldA==", "set_current": true});
        let made = ada.send("POST", &format!("{secret}/versions"), version).await.expect(201);
        let version = made.json()["id"].as_str().expect("an id").to_owned();
        let value = format!("{secret}/versions/{version}:access");
        let read = ada.send("GET", &value, json!({})).await.expect(200).json();
        assert_eq!(read["value_base64"], "dG9wLXNlY3JldA==", "{read}");
        for (other, status) in [&bob, &eve].into_iter().zip(others) {
            other.send("GET", &value, json!({})).await.expect(status);
        }
    }
}
