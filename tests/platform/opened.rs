//! What the platform keeps encrypted, as whoever has both of its files reads it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde_json::Value;
use sqlx::SqlitePool;

/// Opens `ID.BASE64` with a key, which is `ID BASE64`.
fn open(key: &str, sealed: &str, place: &str) -> String {
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
    let (id, key) = key.split_once(' ').expect("a key");
    let (needed, sealed) = sealed.split_once('.').expect("a value");
    assert_eq!(needed, id, "it needs another key");
    let sealed = decoded(sealed);
    let (nonce, sealed) = sealed.split_first_chunk::<24>().expect("a nonce");
    let cipher = XChaCha20Poly1305::new_from_slice(&decoded(key)).expect("a key");
    let payload = Payload { msg: sealed, aad: place.as_bytes() };
    let plain = cipher.decrypt(&(*nonce).into(), payload).expect("what was sealed");
    String::from_utf8(plain).expect("text")
}

/// The data of all secrets, by their names.
pub async fn secrets(folder: &Path, store: &SqlitePool) -> BTreeMap<String, Value> {
    let file = std::fs::read_to_string(folder.join("platform.key")).expect("a key file");
    let key = file.lines().find(|line| !line.starts_with('#')).expect("a key");
    let wrapped: String = sqlx::query_scalar("SELECT wrapped FROM vault")
        .fetch_one(store)
        .await
        .expect("the database's key");
    let own = open(key, wrapped.split_once(' ').expect("an id").1, "vault.key");
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT id, name, data FROM secrets").fetch_all(store).await.expect("rows");
    let opened = rows.into_iter().map(|(id, name, data)| {
        let data = open(&own, &data, &format!("secrets.data {id}"));
        (name, serde_json::from_str(&data).expect("JSON"))
    });
    opened.collect()
}
