//! What lies on the disk: what somebody reads who gets hold of the files, and what happens
//! when some of them are missing, swapped or open to others.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use meshagent::error::Class;
use meshagent::platform::{Place, Platform, Rotation};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqlStr, SqliteConnection};

use super::harness::{Server, parts, token};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    // Those of the last release that kept secrets as they are.
    let files = [
        (1, "platform", include_str!("../../migrations/0001_platform.sql")),
        (2, "sign in", include_str!("../../migrations/0002_sign_in.sql")),
    ];
    let migrations = files.map(|(number, name, sql)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(number, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.into())
});

/// Everything that the files of a folder hold, one after the other.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = folder.read_dir().expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

/// The names of the files that a text stands in.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let found = files(folder).into_iter().filter(|(_, bytes)| is_in(bytes));
    found.map(|(path, _)| path.file_name().expect("a name").to_string_lossy().into()).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700)).expect("a mode");
    for (path, bytes) in files(from) {
        let to = to.join(path.file_name().expect("a name"));
        std::fs::write(&to, bytes).expect("a file");
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
}

async fn database(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("platform.sqlite"));
    options.create_if_missing(true).connect().await.expect("the database")
}

/// Opens and closes a platform, and gives the owner's key.
async fn opened(folder: &Path) -> String {
    let platform = Platform::open(folder).await.expect("a platform");
    let key = platform.bootstrap().api_key;
    platform.close().await;
    key.expose_secret().to_owned()
}

async fn refused(folder: &Path) -> meshagent::error::Error {
    let error = Platform::open(folder).await.expect_err("a refusal");
    assert_eq!(error.class, Class::Refused, "{error}");
    assert!(error.hint.is_some(), "{error}");
    error
}

#[tokio::test]
async fn no_secret_is_in_the_files_not_even_when_it_is_gone() {
    let server = Server::start().await;
    let secret = json!({"name": "s", "type": "keys", "data": {"NAME": "canary-keys"}});
    let docker = json!({
        "name": "d", "type": "docker",
        "data": {"server": "s", "username": "u", "password": "canary-docker"},
    });
    let made = server.send("POST", "/secrets", secret).await.expect(201).json();
    server.send("POST", "/secrets", docker).await.expect(201);
    let path = format!("/secrets/{}", made["id"].as_str().expect("an id"));
    let change = json!({"name": "s", "type": "keys", "data": {"NAME": "canary-changed"}});
    server.send("PUT", &path, change).await.expect(200);
    let settings = json!({"openai": {"api_key": "canary-settings"}});
    server.send("PUT", "/settings", settings.clone()).await.expect(200);
    assert_eq!(server.read("").await.json()["settings"], settings);
    let list = server.read("/secrets").await.json();
    assert_eq!(list["secrets"][0]["data"], json!({"NAME": "********"}));
    let gone = server.key_of(&server.project).await;
    server.own("DELETE", &format!("/api-keys/{}", parts(&gone).0)).send().await.expect(204);
    server.own("DELETE", &path).send().await.expect(204);

    let key = server.key_of(&server.project).await;
    let folder = server.folder();
    let names = ["canary-keys", "canary-docker", "canary-changed", "canary-settings"];
    let secrets = [&server.owner, &key, &gone].map(|key| parts(key).2);
    for text in names.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert_eq!(holding(&folder, text), Vec::<String>::new(), "{text}");
    }
    // What the test would find if it were there.
    assert!(holding(&folder, &server.project).contains(&"platform.sqlite-wal".to_owned()));
}

#[tokio::test]
async fn what_is_deleted_is_overwritten() {
    let server = Server::start().await;
    let path = format!("/projects/{}/storage", server.project);
    let upload = server.ask("POST", &format!("{path}/upload?path=a")).bearer(&server.owner);
    upload.text(&"canary-file".repeat(3000)).send().await.expect(201);
    let folded = async || {
        let pool = server.store().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&pool).await.expect("a file");
        pool.close().await;
        holding(&server.folder(), "canary-file")
    };
    // A file in project storage is no secret.
    assert_eq!(folded().await, ["platform.sqlite"]);
    let delete = server.ask("DELETE", &format!("{path}?path=a")).bearer(&server.owner);
    delete.send().await.expect(204);
    assert_eq!(folded().await, Vec::<String>::new());
}

/// A database as the last release before this one has left it, with a secret that was
/// replaced in it.
async fn of_old(folder: &Path) -> (String, String) {
    std::fs::create_dir_all(folder).expect("a folder");
    let (project, user) = (uuid::Uuid::new_v4(), "11111111-1111-4111-8111-111111111111");
    let (id, key) = (uuid::Uuid::new_v4(), "canary-owner-secret");
    let mut on = database(folder).await;
    MIGRATIONS.run(&mut on).await.expect("tables");
    for statement in [
        format!("INSERT INTO users VALUES ('{user}', 'owner@localhost', NULL, NULL, 1)"),
        format!(
            "INSERT INTO projects VALUES ('{project}', '{user}', 'default', '{}', TRUE, 2, 2)",
            r#"{"key": "canary-old-settings"}"#
        ),
        format!("INSERT INTO members VALUES ('{project}', '{user}', TRUE, TRUE, TRUE, 3, 3)"),
        format!(
            "INSERT INTO api_keys VALUES \
             ('{id}', '{project}', 'owner', '{user}', 'owner', '', '{key}', NULL, 4, 4), \
             ('{}', '{project}', 'signing', NULL, 'signing', '', 'canary-signing', NULL, 5, 5)",
            uuid::Uuid::new_v4()
        ),
        format!(
            "INSERT INTO secrets VALUES \
             ('s', '{project}', 'kept', 'keys', '{}', 6, 6), \
             ('g', '{project}', 'gone', 'keys', '{}', 7, 7)",
            r#"{"NAME": "canary-kept"}"#,
            // It lies on pages of its own, which stay as they are when it is gone.
            json!({"NAME": "canary-gone".repeat(2000)})
        ),
        "UPDATE secrets SET data = '{}' WHERE id = 'g'".to_owned(),
        "UPDATE revisions SET value = 8".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut on).await.expect("a row");
    }
    sqlx::Connection::close(on).await.expect("an end");
    let text = |id: uuid::Uuid| {
        use base64::Engine;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id.as_bytes());
        id.replace('-', ".")
    };
    (format!("ma-{}-{}-{key}", text(id), text(project)), project.to_string())
}

#[tokio::test]
async fn a_database_of_an_earlier_release_is_encrypted_and_keeps_all_that_is_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (key, project) = of_old(&data).await;
    let canaries = [
        "canary-owner-secret",
        "canary-old-settings",
        "canary-signing",
        "canary-kept",
        "canary-gone",
    ];
    for canary in canaries {
        assert_eq!(holding(&data, canary), ["platform.sqlite"], "{canary}");
    }
    let platform = Platform::open(&data).await.expect("a platform");
    assert_eq!(platform.bootstrap().api_key.expose_secret(), key);
    for canary in canaries {
        assert_eq!(holding(&data, canary), Vec::<String>::new(), "{canary}");
    }
    let server = Server::of(platform, folder).await;
    let path = format!("/accounts/projects/{project}");
    let read = |credential: String, rest: &str| {
        let ask = server.ask("GET", &format!("{path}{rest}")).bearer(&credential);
        async move { ask.send().await.expect(200).json() }
    };
    assert_eq!(read(key.clone(), "").await["settings"], json!({"key": "canary-old-settings"}));
    let list = read(key.clone(), "/secrets").await;
    assert_eq!(list["secrets"][0]["data"], json!({"NAME": "********"}));
    // What the owner signed before is still good.
    assert_eq!(read(token(&key, json!({"admin": {}})), "/role").await["role"], "developer");
    // And it opens again, with nothing left to do.
    assert_eq!(opened(&data).await, key);
}

#[tokio::test]
async fn a_value_in_the_place_of_another_does_not_open() {
    let server = Server::start().await;
    for name in ["one", "two"] {
        let secret = json!({"name": name, "type": "keys", "data": {"NAME": name}});
        server.send("POST", "/secrets", secret).await.expect(201);
    }
    server.read("/secrets").await.expect(200);
    // Whoever may change the database gives one secret the value of the other.
    let pool = server.store().await;
    let swap = "UPDATE secrets SET data = (SELECT data FROM secrets WHERE name = 'two') \
                WHERE name = 'one'";
    sqlx::query(swap).execute(&pool).await.expect("a change");
    pool.close().await;
    let reply = server.read("/secrets").await.expect(500);
    assert_eq!(reply.json(), json!({"error": "the platform failed"}));
}

#[tokio::test]
async fn without_its_own_key_file_a_database_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let key = opened(&data).await;
    opened(&other).await;
    let file = data.join("platform.key");
    let kept = std::fs::read(&file).expect("a key file");
    std::fs::remove_file(&file).expect("gone");
    assert!(refused(&data).await.message.contains("platform.key is missing"));
    // Nothing was made in its place.
    assert!(!file.exists());
    std::fs::copy(other.join("platform.key"), &file).expect("another");
    assert!(refused(&data).await.message.contains("is not the key of the database"));
    std::fs::write(&file, "x y\n").expect("a file");
    assert!(refused(&data).await.message.contains("is not a key file"));
    std::fs::write(&file, kept).expect("the key file");
    assert_eq!(opened(&data).await, key);
}

#[tokio::test]
async fn a_key_without_its_database_is_no_new_platform() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    opened(&data).await;
    let file = data.join("platform.sqlite");
    std::fs::remove_file(&file).expect("gone");
    assert!(refused(&data).await.message.contains("there is no database in"));
    assert!(!file.exists(), "a database was made");
    std::fs::write(&file, "").expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("a mode");
    for _ in 0..2 {
        assert!(refused(&data).await.message.contains("is empty"));
    }
    // With the key out of the way it is one.
    std::fs::rename(data.join("platform.key"), folder.path().join("kept")).expect("moved");
    opened(&data).await;
}

#[tokio::test]
async fn a_key_file_in_another_place_is_used_and_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let place = Place { data: data.clone(), key_file: Some(folder.path().join("elsewhere.key")) };
    let platform = Platform::open(place.clone()).await.expect("a platform");
    platform.close().await;
    assert!(!data.join("platform.key").exists());
    assert!(refused(&data).await.message.contains("platform.key is missing"));
    let which = Rotation { key_file: true, ..Rotation::default() };
    let before = std::fs::read(folder.path().join("elsewhere.key")).expect("a key file");
    Platform::replace_keys(&place, which).await.expect("a new key").close().await;
    let after = std::fs::read(folder.path().join("elsewhere.key")).expect("a key file");
    assert_ne!(before, after);
    Platform::open(place).await.expect("a platform").close().await;
}

#[tokio::test]
async fn a_key_file_is_replaced_under_a_platform_that_runs() {
    let server = Server::start().await;
    server.room("hall").await;
    let place = Place::from(&server.folder());
    let secret = |name: &str| json!({"name": name, "type": "keys", "data": {"NAME": "v"}});
    server.send("POST", "/secrets", secret("before")).await.expect(201);
    let key = server.key_of(&server.project).await;
    let given = server.connect(&key, "hall").await;
    for round in 0..3 {
        let which = Rotation { key_file: true, ..Rotation::default() };
        Platform::replace_keys(&place, which).await.expect("a new key").close().await;
        // Reading, writing and verifying all need the new key.
        server.send("POST", "/secrets", secret(&format!("s{round}"))).await.expect(201);
        let list = server.read("/secrets").await.expect(200).json();
        assert_eq!(list["secrets"].as_array().map(Vec::len), Some(round + 2));
        let path = format!("/accounts/projects/{}/role", server.project);
        for token in [&given, &token(&key, json!({}))] {
            server.ask("GET", &path).bearer(token).send().await.expect(200);
        }
        server.connect(&key, "hall").await;
    }
    // Another process reads what this one wrote.
    assert_eq!(opened(&server.folder()).await, server.owner);
}

#[tokio::test]
async fn nobody_notices_that_the_key_file_is_being_replaced() {
    let server = Server::start().await;
    let secret = |name: &str| json!({"name": name, "type": "keys", "data": {"NAME": "v"}});
    server.send("POST", "/secrets", secret("first")).await.expect(201);
    let place = Place::from(&server.folder());
    let replace = async {
        for _ in 0..20 {
            let which = Rotation { key_file: true, ..Rotation::default() };
            Platform::replace_keys(&place, which).await.expect("a new key").close().await;
        }
    };
    // At each moment what is read opens, and what is written is read later.
    let use_it = async {
        for number in 0.. {
            server.read("/secrets").await.expect(200);
            server.send("POST", "/secrets", secret(&format!("s{number}"))).await.expect(201);
        }
    };
    tokio::select! {
        () = replace => {}
        () = use_it => {}
    }
    server.read("/secrets").await.expect(200);
    assert_eq!(opened(&server.folder()).await, server.owner);
}

#[tokio::test]
async fn a_key_file_that_cannot_be_replaced_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let key = opened(&data).await;
    let before = std::fs::read(data.join("platform.key")).expect("a key file");
    let mut on = database(&data).await;
    let change = "UPDATE projects SET settings = settings || 'x'";
    sqlx::query(change).execute(&mut on).await.expect("a change");
    let which = Rotation { key_file: true, ..Rotation::default() };
    let error = Platform::replace_keys(&Place::from(&data), which).await.expect_err("broken");
    assert!(error.message.contains("failed to replace the key file"), "{error}");
    assert_eq!(std::fs::read(data.join("platform.key")).expect("a key file"), before);
    assert_eq!(opened(&data).await, key);
}

#[tokio::test]
async fn a_key_file_that_was_half_replaced_still_opens_its_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let key = opened(&at("before")).await;
    copy(&at("before"), &at("after"));
    let which = Rotation { key_file: true, ..Rotation::default() };
    let platform = Platform::replace_keys(&Place::from(&at("after")), which).await;
    platform.expect("a new key").close().await;
    let keys = |name: &str| {
        let text = std::fs::read_to_string(at(name).join("platform.key")).expect("a key file");
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        lines.collect::<Vec<_>>().join("\n")
    };
    let both = format!("{}\n{}\n", keys("after"), keys("before"));
    for name in ["before", "after"] {
        // It was killed before its commit, or after it.
        let cut = at(&format!("{name}-cut"));
        copy(&at(name), &cut);
        std::fs::write(cut.join("platform.key"), &both).expect("both keys");
        assert_eq!(opened(&cut).await, key, "{name}");
        // The next time goes through, and leaves one key.
        let platform = Platform::replace_keys(&Place::from(&cut), which).await;
        platform.expect("a new key").close().await;
        assert_eq!(keys(&format!("{name}-cut")).lines().count(), 1);
        assert_eq!(opened(&cut).await, key, "{name}");
    }
    // The old key opens nothing that came after it.
    std::fs::copy(at("before").join("platform.key"), at("after").join("platform.key")).expect("it");
    refused(&at("after")).await;
}

#[tokio::test]
async fn what_others_may_change_is_refused_and_what_is_open_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    opened(&data).await;
    let set = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    };
    for (name, good, modes) in
        [("", 0o700, [0o777, 0o702]), ("platform.sqlite", 0o600, [0o666, 0o602])]
    {
        let path = data.join(name);
        for mode in modes {
            set(&path, mode);
            let error = refused(&data).await;
            assert!(error.message.contains("anybody on this machine may change"), "{error}");
            assert!(error.hint.expect("a hint").contains("chmod"), "{mode:o}");
        }
        set(&path, good);
    }
    for mode in [0o640, 0o604, 0o622] {
        set(&data.join("platform.key"), mode);
        let error = refused(&data).await;
        assert!(error.hint.expect("a hint").contains("chmod 600"), "{mode:o}");
    }
    set(&data.join("platform.key"), 0o600);
    set(&data, 0o755);
    set(&data.join("platform.sqlite"), 0o644);
    opened(&data).await;
}

#[tokio::test]
async fn a_token_that_was_given_before_there_were_principals_has_ended() {
    let server = Server::start().await;
    server.room("hall").await;
    let given = server.connect(&server.owner, "hall").await;
    let mut claims: Value =
        jsonwebtoken::dangerous::insecure_decode_claims(&given).expect("claims");
    claims.as_object_mut().expect("claims").remove("principal");
    // The platform's own signing key, for once in the hands of the test.
    let signed = {
        let pool = server.store().await;
        let kid = claims["kid"].as_str().expect("an id").to_owned();
        let key = server.key_of(&server.project).await;
        let (id, _, _) = parts(&key);
        // A key becomes one that signs for the platform.
        sqlx::query("UPDATE api_keys SET purpose = 'project' WHERE id = $1")
            .bind(&kid)
            .execute(&pool)
            .await
            .expect("a change");
        sqlx::query("UPDATE api_keys SET purpose = 'signing' WHERE id = $1")
            .bind(&id)
            .execute(&pool)
            .await
            .expect("a change");
        pool.close().await;
        claims["kid"] = json!(id);
        super::harness::signed(jsonwebtoken::Algorithm::HS256, &claims, &key)
    };
    let path = format!("/accounts/projects/{}/role", server.project);
    server.ask("GET", &path).bearer(&signed).send().await.expect(401);
}
