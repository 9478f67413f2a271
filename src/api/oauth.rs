//! Signing in: the OAuth 2.0 code flow with PKCE, in the words of the reference.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use super::failure::said;
use super::http::{self, Told};
use crate::error::{Context, Error, Result};

/// The public id of the command line.
pub const CLIENT_ID: &str = "p8xy1ZUi73jJUJbNfTg92HUSDpCSZJcc";

/// The one address that a platform may send the browser back to.
pub const REDIRECT_URI: &str = "http://localhost:8765/callback";

/// The port of [`REDIRECT_URI`].
pub const REDIRECT_PORT: u16 = 8765;

/// The scope that is requested by default.
pub const SCOPE: &str = "admin";

/// How long tokens last when the platform does not say, in seconds.
const LASTS: i64 = 3600;

/// The longest text of a refusal that is shown.
const SHOWN: usize = 300;

/// Who asks a platform for tokens.
#[derive(Debug, Clone)]
pub struct Program {
    /// The platform's base URL.
    pub base: String,
    /// The program's id.
    pub client_id: String,
    /// Its secret, if it has one.
    pub client_secret: Option<SecretString>,
    /// How long a request may take.
    pub timeout: Duration,
}

/// One sign-in under way.
#[derive(Debug)]
pub struct Flow {
    verifier: SecretString,
    /// What the answer must carry to be the answer to this.
    pub state: SecretString,
}

/// The tokens of a platform.
#[derive(Debug)]
pub struct Tokens {
    /// The credential.
    pub access_token: SecretString,
    /// The token that gets the next credential.
    pub refresh_token: Option<SecretString>,
    /// How long the credential lasts, in seconds.
    pub expires_in: i64,
    /// How it is sent.
    pub token_type: String,
    /// What it is for.
    pub scope: Option<String>,
    /// Who signed in; some platforms say so.
    pub id_token: Option<SecretString>,
}

/// Why there are no tokens.
#[derive(Debug)]
pub struct Refused {
    /// Whether the platform refused, and would refuse again.
    pub is_final: bool,
    /// What failed.
    pub error: Error,
}

fn random(bytes: &mut [u8]) -> Result<SecretString> {
    getrandom::fill(bytes).context(|| "the system gives no random bytes".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

impl Flow {
    /// A new one.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn new() -> Result<Self> {
        Ok(Self { verifier: random(&mut [0; 32])?, state: random(&mut [0; 16])? })
    }

    /// The URL that a browser opens.
    #[must_use]
    pub fn url(&self, program: &Program, scope: &str) -> String {
        let challenge =
            URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose_secret().as_bytes()));
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &program.client_id)
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", scope)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", self.state.expose_secret())
            .finish();
        format!("{}/oauth/authorize?{query}", program.base)
    }

    /// Exchanges the code for tokens.
    ///
    /// # Errors
    ///
    /// The platform's.
    pub async fn redeem(&self, program: &Program, code: &SecretString) -> Result<Tokens> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", REDIRECT_URI),
            ("client_id", &program.client_id),
            ("code_verifier", self.verifier.expose_secret()),
        ];
        program.tokens(&fields).await.map_err(|refused| refused.error)
    }
}

impl Program {
    /// Exchanges a refresh token for the next tokens.
    ///
    /// # Errors
    ///
    /// The platform's.
    pub async fn refresh(&self, token: &SecretString) -> Result<Tokens, Refused> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
            ("client_id", &self.client_id),
        ];
        self.tokens(&fields).await
    }

    /// What is sent, with the program's own secret.
    fn form(&self, fields: &[(&str, &str)]) -> String {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(fields);
        if let Some(secret) = &self.client_secret {
            form.append_pair("client_secret", secret.expose_secret());
        }
        form.finish()
    }

    async fn tokens(&self, fields: &[(&str, &str)]) -> Result<Tokens, Refused> {
        let again = |error: Error| Refused { is_final: false, error };
        let form = self.form(fields);
        let failed = || "POST /oauth/token had no answer".to_owned();
        let http = http::build(http::of_platform(&self.base)).map_err(again)?;
        let request = http
            .post(format!("{}/oauth/token", self.base))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let told = http::ask(request, self.timeout, http::STANDARD);
        let told = told.await.map_err(|unread| {
            let known = unread.hint().map(str::to_owned);
            let error = Error::failed(failed()).because(unread);
            again(match known {
                Some(hint) => error.hint(hint),
                None => error,
            })
        });
        let Told { status, body } = told?;
        let text = String::from_utf8(body)
            .context(|| "POST /oauth/token was not answered with text".to_owned());
        let text = SecretString::from(text.map_err(again)?);
        if !status.is_success() {
            let what = refusal(text.expose_secret());
            let error =
                Error::failed(format!("POST /oauth/token was answered with {status}: {what}"));
            return Err(Refused { is_final: status.is_client_error(), error });
        }
        Tokens::read(text.expose_secret()).ok_or_else(|| {
            again(Error::failed("the answer to POST /oauth/token contains no token"))
        })
    }
}

/// What a refusal says, on one line.
fn refusal(text: &str) -> String {
    let told = serde_json::from_str::<Value>(text).ok().and_then(|value| {
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        match (field("error"), field("error_description")) {
            (Some(error), Some(description)) => Some(format!("{error}, {description}")),
            (error, _) => error,
        }
    });
    let told = told.unwrap_or_else(|| text.to_owned());
    said(&told, SHOWN).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<Value>,
    token_type: Option<String>,
    scope: Option<String>,
    id_token: Option<String>,
}

impl Tokens {
    fn read(text: &str) -> Option<Self> {
        let answer: Answer = serde_json::from_str(text).ok()?;
        // Some platforms write the number as a text.
        let expires_in = match answer.expires_in {
            None | Some(Value::Null) => LASTS,
            Some(Value::String(text)) => text.parse().ok()?,
            Some(value) => value.as_i64()?,
        };
        Some(Self {
            access_token: Some(answer.access_token).filter(|token| !token.is_empty())?.into(),
            refresh_token: answer.refresh_token.map(SecretString::from),
            expires_in,
            token_type: answer.token_type.unwrap_or_else(|| "Bearer".to_owned()),
            scope: answer.scope,
            id_token: answer.id_token.map(SecretString::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_what_the_reference_opens() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let flow = Flow { verifier: verifier.into(), state: "s".into() };
        let program = Program {
            base: "http://h/base".to_owned(),
            client_id: "c".to_owned(),
            client_secret: None,
            timeout: Duration::from_secs(1),
        };
        assert_eq!(
            flow.url(&program, "admin"),
            "http://h/base/oauth/authorize?response_type=code&client_id=c\
             &redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Fcallback&scope=admin\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
             &code_challenge_method=S256&state=s"
        );
        let flow = Flow::new().expect("random bytes");
        assert_eq!(flow.verifier.expose_secret().len(), 43);
        assert_eq!(flow.state.expose_secret().len(), 22);
        assert!(!format!("{flow:?}").contains(flow.verifier.expose_secret()));
    }

    #[test]
    fn answers_are_read_as_platforms_write_them() {
        let read = Tokens::read(r#"{"access_token": "a", "expires_in": "60"}"#).expect("tokens");
        assert_eq!((read.expires_in, read.token_type.as_str()), (60, "Bearer"));
        assert_eq!(Tokens::read(r#"{"access_token": "a"}"#).expect("tokens").expires_in, 3600);
        for text in ["", "[]", "{}", r#"{"access_token": ""}"#, "<html>"] {
            assert!(Tokens::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_one_line() {
        assert_eq!(
            refusal(r#"{"error": "invalid_grant", "error_description": "used"}"#),
            "invalid_grant, used"
        );
        assert_eq!(refusal("<b>\nno\u{1b}[1m"), "<b> no [1m");
    }
}
