//! Sign-ins: the tokens that a person gets after proving their identity, until the sign-in ends.
//!
//! A code is valid for a minute and can be used once; a second use ends what the first one began.
//! An access token is valid for an hour. A refresh token is valid for thirty days and can be used
//! once, with a grace period: two processes may refresh at the same moment, and an answer may be
//! lost on its way, so within [`GRACE`] of its first use it is accepted again. After that its use
//! is treated as theft, and the sign-in ends for everyone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sqlx::SqlitePool;
use uuid::Uuid;

use super::Role;
use super::holder::{Holder, Question, Standing};
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Change, Store, of_row};

/// How an access token begins.
pub const ACCESS: &str = "oa-";

/// How a refresh token begins.
const REFRESH: &str = "or-";

/// How long an access token is valid, in seconds.
pub const ACCESS_LASTS: i64 = 60 * 60;

const CODE_LASTS: i64 = 60;
const REFRESH_LASTS: i64 = 30 * 24 * 60 * 60;
const GRACE: i64 = 30;

/// How long a used code is remembered.
const CODE_KEPT: i64 = 24 * 60 * 60;

/// The request for a code, which must also fit when the code is used.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The program that asks.
    pub client_id: String,
    /// Where the code is sent.
    pub redirect_uri: String,
    /// What it is for.
    pub scope: String,
    /// The digest of the verifier that only the program knows (PKCE, S256).
    pub challenge: String,
}

/// The tokens that a program gets.
#[derive(Debug)]
pub struct Tokens {
    /// The credential.
    pub access: SecretString,
    /// The token that gets the next pair.
    pub refresh: SecretString,
    /// What it is for.
    pub scope: String,
}

/// What a program sends with a code.
#[derive(Debug)]
pub struct Presented<'a> {
    /// The code.
    pub code: &'a str,
    /// The program that presents it.
    pub client_id: &'a str,
    /// Where the code was sent.
    pub redirect_uri: &'a str,
    /// The verifier from which the challenge was made.
    pub verifier: &'a str,
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn random(prefix: &str) -> Result<SecretString> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(Refusal::internal)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
}

/// Who holds an access token, and the holder's role in a project now; `None` if it is not valid.
///
/// # Errors
///
/// The store failed.
pub async fn holder(
    reads: &SqlitePool,
    token: &str,
    project: Option<&str>,
) -> Result<Option<(Holder, Option<Role>)>> {
    let found: Option<(String, String)> = sqlx::query_as(
        "SELECT s.id, s.key_id FROM sign_in_tokens t JOIN sign_ins s ON s.id = t.sign_in_id \
         WHERE t.digest = $1 AND t.kind = 'access' AND t.expires_at > $2",
    )
    .bind(digest::of(token))
    .bind(now())
    .fetch_optional(reads)
    .await?;
    let Some((sign_in, key)) = found else { return Ok(None) };
    let question = Question { key: &key, project, sign_in: Some(&sign_in), ..Question::default() };
    let standing = Standing::of(reads, &question).await?.filter(|standing| standing.goes_on);
    let holder = standing.and_then(Standing::holder).filter(|(holder, _)| holder.person.is_some());
    Ok(holder.map(|(holder, role)| (holder.signed_in(sign_in), role)))
}

/// Makes a code for the holder of the key.
///
/// # Errors
///
/// The store failed.
pub async fn code(store: &Store, key: &str, asked: &Asked) -> Result<SecretString> {
    let code = random("")?;
    let mut write = store.write().await?.without_condition();
    tidy(&mut write).await?;
    sqlx::query(
        "INSERT INTO sign_in_codes \
         (digest, key_id, client_id, redirect_uri, scope, challenge, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(digest::of(code.expose_secret()))
    .bind(key)
    .bind(&asked.client_id)
    .bind(&asked.redirect_uri)
    .bind(&asked.scope)
    .bind(&asked.challenge)
    .bind(now() + CODE_LASTS)
    .execute(write.on())
    .await?;
    write.commit().await?;
    Ok(code)
}

struct Code {
    key_id: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    challenge: String,
    expires_at: i64,
    used_by: Option<String>,
}

of_row!(Code { key_id, client_id, redirect_uri, scope, challenge, expires_at, used_by });

/// Exchanges a code for tokens; `None` if it is not valid. A code that is presented wrongly is in
/// the wrong hands, so it becomes invalid.
///
/// # Errors
///
/// The store failed.
pub async fn redeem(store: &Store, presented: &Presented<'_>) -> Result<Option<Tokens>> {
    let digested = digest::of(presented.code);
    let mut write = store.write().await?.without_condition();
    let code: Option<Code> = sqlx::query_as(
        "SELECT key_id, client_id, redirect_uri, scope, challenge, expires_at, used_by \
         FROM sign_in_codes WHERE digest = $1",
    )
    .bind(&digested)
    .fetch_optional(write.on())
    .await?;
    let Some(code) = code else { return Ok(None) };
    if let Some(sign_in) = &code.used_by {
        end(&mut write, sign_in).await?;
        write.commit().await?;
        return Ok(None);
    }
    let proves = digest::fits(presented.verifier, &code.challenge);
    let fits = code.expires_at > now()
        && code.client_id == presented.client_id
        && code.redirect_uri == presented.redirect_uri;
    if !proves || !fits {
        sqlx::query("DELETE FROM sign_in_codes WHERE digest = $1")
            .bind(&digested)
            .execute(write.on())
            .await?;
        write.commit().await?;
        return Ok(None);
    }
    let sign_in = Uuid::new_v4().to_string();
    sqlx::query(
        "INSERT INTO sign_ins (id, key_id, client_id, scope, created_at) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&sign_in)
    .bind(&code.key_id)
    .bind(&code.client_id)
    .bind(&code.scope)
    .bind(now())
    .execute(write.on())
    .await?;
    sqlx::query("UPDATE sign_in_codes SET used_by = $1 WHERE digest = $2")
        .bind(&sign_in)
        .bind(&digested)
        .execute(write.on())
        .await?;
    let tokens = issue(&mut write, &sign_in, code.scope).await?;
    write.commit().await?;
    Ok(Some(tokens))
}

struct Refresh {
    sign_in_id: String,
    client_id: String,
    scope: String,
    expires_at: i64,
    used_at: Option<i64>,
}

of_row!(Refresh { sign_in_id, client_id, scope, expires_at, used_at });

/// Exchanges a refresh token for the next pair; `None` if it is not valid.
///
/// # Errors
///
/// The store failed.
pub async fn refresh(store: &Store, token: &str, client_id: &str) -> Result<Option<Tokens>> {
    let digested = digest::of(token);
    let mut write = store.write().await?.without_condition();
    let found: Option<Refresh> = sqlx::query_as(
        "SELECT t.sign_in_id, s.client_id, s.scope, t.expires_at, t.used_at \
         FROM sign_in_tokens t JOIN sign_ins s ON s.id = t.sign_in_id \
         WHERE t.digest = $1 AND t.kind = 'refresh'",
    )
    .bind(&digested)
    .fetch_optional(write.on())
    .await?;
    let now = now();
    let Some(found) = found.filter(|found| found.client_id == client_id && found.expires_at > now)
    else {
        return Ok(None);
    };
    if found.used_at.is_some_and(|used| now - used > GRACE) {
        tracing::warn!("a refresh token was used again, so its sign-in has ended");
        end(&mut write, &found.sign_in_id).await?;
        write.commit().await?;
        return Ok(None);
    }
    tidy(&mut write).await?;
    sqlx::query("UPDATE sign_in_tokens SET used_at = coalesce(used_at, $1) WHERE digest = $2")
        .bind(now)
        .bind(&digested)
        .execute(write.on())
        .await?;
    let tokens = issue(&mut write, &found.sign_in_id, found.scope).await?;
    write.commit().await?;
    Ok(Some(tokens))
}

async fn issue(write: &mut Change, sign_in: &str, scope: String) -> Result<Tokens> {
    let tokens = Tokens { access: random(ACCESS)?, refresh: random(REFRESH)?, scope };
    for (token, kind, lasts) in
        [(&tokens.access, "access", ACCESS_LASTS), (&tokens.refresh, "refresh", REFRESH_LASTS)]
    {
        sqlx::query(
            "INSERT INTO sign_in_tokens (digest, sign_in_id, kind, expires_at) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(digest::of(token.expose_secret()))
        .bind(sign_in)
        .bind(kind)
        .bind(now() + lasts)
        .execute(write.on())
        .await?;
    }
    Ok(tokens)
}

async fn end(write: &mut Change, sign_in: &str) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE id = $1").bind(sign_in).execute(write.on()).await?;
    Ok(())
}

/// Deletes what has expired.
async fn tidy(write: &mut Change) -> Result<()> {
    let now = now();
    sqlx::query("DELETE FROM sign_in_tokens WHERE expires_at <= $1")
        .bind(now)
        .execute(write.on())
        .await?;
    sqlx::query("DELETE FROM sign_in_codes WHERE expires_at <= $1")
        .bind(now - CODE_KEPT)
        .execute(write.on())
        .await?;
    sqlx::query(
        "DELETE FROM sign_ins WHERE NOT EXISTS \
         (SELECT 1 FROM sign_in_tokens WHERE sign_in_id = sign_ins.id)",
    )
    .execute(write.on())
    .await?;
    Ok(())
}
