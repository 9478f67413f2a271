//! *Pure*: the toolkit `secrets`, which every room has. A secret belongs to an identity, which is the
//! name of a participant, and may be delegated to another one. What is secret is held so that it
//! cannot be printed.

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::content::Content;
use super::operation::{At, Operation, Secret, done};

/// The toolkit's name.
pub const TOOLKIT: &str = "secrets";

/// The kind of messages by which a room asks a participant for a secret.
pub const SECRET_REQUESTED: &str = "secrets.request_secret";

/// The kind of messages by which a room asks a participant for a sign-in.
pub const AUTHORIZATION_REQUESTED: &str = "secrets.request_oauth_token";

/// How long somebody who is asked may take, in seconds, unless the request says something else.
pub const PATIENCE: u32 = 300;

/// The media type of a secret of which nothing is said.
pub const BYTES: &str = "application/octet-stream";

/// Which secrets the caller has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {}

/// The secrets of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// In the order in which they were first stored.
    pub secrets: Vec<Info>,
}

/// What is known of a secret beside its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its id, which is unique among those of its owner that are delegated to the same identity.
    pub id: String,
    /// Its media type, or what else it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The identity to which it is delegated.
    #[serde(default)]
    pub delegated_to: Option<String>,
}

/// Stores a secret, or replaces one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Set {
    /// Its id; without one, the room chooses.
    #[serde(default)]
    pub secret_id: Option<String>,
    /// Its media type, or what else it is.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The identity to which it is delegated.
    #[serde(default)]
    pub delegated_to: Option<String>,
    /// The identity to which it belongs; without one, the caller's.
    #[serde(default)]
    pub for_identity: Option<String>,
    /// Whether there is a value, as there always is.
    #[serde(default)]
    pub has_data: Option<bool>,
    /// The value.
    #[serde(skip)]
    pub data: Secret,
}

/// Asks for a secret that is stored. All that is said must fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    /// Its id.
    #[serde(default)]
    pub secret_id: Option<String>,
    /// Its media type, or what else it is.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The identity to which it is delegated: another one if it is the caller's own, and the
    /// caller's if it is of somebody else.
    #[serde(default)]
    pub delegated_to: Option<String>,
}

/// A secret with its value.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Its media type, or what else it is.
    pub mime_type: String,
    /// The value.
    #[serde(skip)]
    pub data: Secret,
}

/// Deletes a secret of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Its id.
    pub id: String,
    /// The identity to which it is delegated.
    #[serde(default)]
    pub delegated_to: Option<String>,
}

/// Asks another participant for a secret, and keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What it is for.
    pub url: String,
    /// Its media type, or what else it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the participant that is asked.
    pub participant_id: String,
    /// How long that may take, in seconds.
    #[serde(default)]
    pub timeout: Option<Number>,
    /// The identity to which it will be delegated.
    #[serde(default)]
    pub delegate_to: Option<String>,
}

/// Answers a request for a secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct Provide {
    /// The request.
    pub request_id: String,
    /// Why there is no secret.
    #[serde(default)]
    pub error: Option<String>,
    /// The secret.
    #[serde(skip)]
    pub data: Secret,
}

/// Forgets a secret that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRequested {
    /// What it is for.
    pub url: String,
    /// Its media type, or what else it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identity to which it is delegated.
    #[serde(default)]
    pub delegated_to: Option<String>,
}

/// A program that is registered with a server for OAuth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuthClient {
    /// Its id there.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Its secret there.
    #[serde(default, with = "revealed")]
    pub client_secret: Option<SecretString>,
    /// Where people sign in.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Whether there is no proof that whoever has the code has asked for it (PKCE).
    #[serde(default)]
    pub no_pkce: Option<bool>,
    /// What the token is for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// Asks another participant to sign in, and keeps the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestToken {
    /// What else the token is for, as others see it.
    #[serde(default)]
    pub connector: Option<Value>,
    /// For which program.
    #[serde(default)]
    pub oauth: Option<OAuthClient>,
    /// Where the code is sent.
    pub redirect_uri: String,
    /// The id of the participant that is asked.
    pub participant_id: String,
    /// How long that may take, in seconds.
    #[serde(default)]
    pub timeout: Option<Number>,
    /// The identity to which the token will be delegated.
    #[serde(default)]
    pub delegate_to: Option<String>,
}

/// Answers a request for a sign-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProvideAuthorization {
    /// The request.
    pub request_id: String,
    /// The code.
    #[serde(default, with = "revealed")]
    pub code: Option<SecretString>,
    /// Why there is none.
    #[serde(default)]
    pub error: Option<String>,
}

/// Asks for a token that is kept, without asking anybody to sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetToken {
    /// What else the token is for.
    #[serde(default)]
    pub connector: Option<Value>,
    /// For which program.
    #[serde(default)]
    pub oauth: Option<OAuthClient>,
    /// The identity to which it is delegated.
    #[serde(default)]
    pub delegated_to: Option<String>,
    /// Who has delegated it, or signed in for it.
    #[serde(default)]
    pub delegated_by: Option<String>,
}

/// A token, if there is one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    #[serde(default, with = "revealed")]
    pub access_token: Option<SecretString>,
}

impl Operation for List {
    type Answer = Secrets;
    const AT: At = At::Tool(TOOLKIT, "list_secrets");
}

impl Operation for Set {
    type Answer = ();
    const AT: At = At::Tool(TOOLKIT, "set_secret");

    fn bytes(&self) -> Option<&Secret> {
        Some(&self.data)
    }

    fn with_bytes(self, data: Secret) -> Self {
        Self { data, ..self }
    }

    fn answer((): &()) -> Content {
        Content::Empty
    }

    fn answered(_answer: Content) -> Option<()> {
        Some(())
    }
}

impl Operation for Get {
    type Answer = Option<Held>;
    const AT: At = At::Tool(TOOLKIT, "get_secret");

    fn answer(answer: &Option<Held>) -> Content {
        answer.as_ref().map_or(Content::Empty, Held::content)
    }

    fn answered(answer: Content) -> Option<Option<Held>> {
        match answer {
            Content::Empty => Some(None),
            answer => Held::of(answer).map(Some),
        }
    }
}

impl Operation for Request {
    type Answer = Held;
    const AT: At = At::Tool(TOOLKIT, "request_secret");

    fn waits(&self) -> bool {
        true
    }

    fn answer(answer: &Held) -> Content {
        answer.content()
    }

    fn answered(answer: Content) -> Option<Held> {
        Held::of(answer)
    }
}

impl Operation for Provide {
    type Answer = ();
    const AT: At = At::Tool(TOOLKIT, "provide_secret");

    fn bytes(&self) -> Option<&Secret> {
        Some(&self.data)
    }

    fn with_bytes(self, data: Secret) -> Self {
        Self { data, ..self }
    }

    fn answer((): &()) -> Content {
        Content::Empty
    }

    fn answered(_answer: Content) -> Option<()> {
        Some(())
    }
}

impl Operation for RequestToken {
    type Answer = Token;
    const AT: At = At::Tool(TOOLKIT, "request_oauth_token");

    fn waits(&self) -> bool {
        true
    }
}

impl Operation for GetToken {
    type Answer = Token;
    const AT: At = At::Tool(TOOLKIT, "get_offline_oauth_token");
}

done! {
    Delete => At::Tool(TOOLKIT, "delete_secret"),
    DeleteRequested => At::Tool(TOOLKIT, "delete_requested_secret"),
    ProvideAuthorization => At::Tool(TOOLKIT, "provide_oauth_authorization"),
}

impl Held {
    /// The secret as it is answered.
    fn content(&self) -> Content {
        Content::File {
            name: self.name.clone(),
            mime_type: self.mime_type.clone(),
            bytes: self.data.expose_secret().clone(),
        }
    }

    /// The secret in an answer, if there is one.
    fn of(answer: Content) -> Option<Self> {
        let Content::File { name, mime_type, bytes } = answer else { return None };
        Some(Self { name, mime_type, data: SecretBox::new(Box::new(bytes)) })
    }
}

/// How a secret is spelled where it must be: on its way, and before it is encrypted.
pub mod revealed {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Spells it out.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        secret: &Option<SecretString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not a text.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SecretString>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(text.map(SecretString::from))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(text: &str) -> Secret {
        SecretBox::new(Box::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn what_is_asked_is_spelled_as_the_public_sdk_spells_it() {
        let set = json!({
            "secret_id": "s", "type": null, "name": null, "delegated_to": null,
            "for_identity": null, "has_data": true,
        });
        let asked = Set::read(&set).unwrap().with_bytes(secret("x"));
        assert_eq!(serde_json::to_value(&asked).unwrap(), set);
        assert_eq!(asked.bytes().unwrap().expose_secret(), b"x");
        let request = json!({
            "url": "u", "type": "t", "participant_id": "p", "timeout": 300, "delegate_to": null,
        });
        let asked = Request::read(&request).unwrap();
        assert_eq!(serde_json::to_string(&asked.timeout).unwrap(), "300");
        assert_eq!(serde_json::to_value(&asked).unwrap(), request);
        let oauth = json!({
            "client_id": "c", "client_secret": "canary", "authorization_endpoint": "a",
            "token_endpoint": "t", "no_pkce": false, "scopes": ["a"],
        });
        let token = json!({
            "connector": null, "oauth": oauth, "redirect_uri": "r", "participant_id": "p",
            "timeout": 300, "delegate_to": null,
        });
        let asked = RequestToken::read(&token).unwrap();
        assert_eq!(serde_json::to_value(&asked).unwrap(), token);
        assert!(!format!("{asked:?}").contains("canary"));
        let odd = json!({"oauth": {"client_id": "c", "more": 1}, "redirect_uri": "r", "participant_id": "p"});
        assert_eq!(RequestToken::read(&odd).unwrap_err().code, Some(1002));
    }

    #[test]
    fn no_secret_is_printed() {
        let code = json!({"request_id": "r", "code": "canary", "error": null});
        let provided = ProvideAuthorization::read(&code).unwrap();
        assert_eq!(serde_json::to_value(&provided).unwrap(), code);
        let token = GetToken::answered(Content::Json(json!({"access_token": "canary"}))).unwrap();
        let held = Held { data: secret("canary"), ..Held::default() };
        // The value goes beside the description, and never into it.
        assert!(!serde_json::to_string(&held).unwrap().contains("canary"));
        let printed = format!("{provided:?} {token:?} {held:?} {:?}", held.data);
        assert!(!printed.contains("canary") && !printed.contains("99, 97"), "{printed}");
    }

    #[test]
    fn a_secret_is_a_file_and_none_is_nothing() {
        let held = Held { name: "n".into(), mime_type: "t".into(), data: secret("x") };
        let file = Content::File { name: "n".into(), mime_type: "t".into(), bytes: b"x".to_vec() };
        assert_eq!(Request::answer(&held), file);
        assert_eq!(Request::answered(file.clone()).unwrap().data.expose_secret(), b"x");
        assert!(Request::answered(Content::Empty).is_none());
        assert_eq!(Get::answer(&Some(held)), file);
        assert!(Get::answered(file).unwrap().is_some());
        assert_eq!(Get::answer(&None), Content::Empty);
        assert!(Get::answered(Content::Empty).unwrap().is_none());
        assert!(Get::answered(Content::Json(json!({}))).is_none());
    }
}
