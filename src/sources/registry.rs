//! Artifacts in OCI registries, by the distribution API: a manifest that names one layer, which is
//! an archive.
//!
//! A registry is asked without credentials first, as everybody is. Those that it may ask for are
//! taken from where Docker keeps them, by the registry's host. They go to the place that it names for
//! tokens, over https, as Docker does it, and to no other.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::archive::LARGEST;
use super::download::TIME;
use crate::api::http;
use crate::bounded;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::manifest::pack::Digest;
use crate::visible;

/// The manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// The largest manifest, in bytes; registries have the same limit.
const MANIFEST: usize = 4 * 1024 * 1024;

/// Variables that say where credentials are: the text itself, as GitLab has it, and the folder.
const CREDENTIALS: (&str, &str) = ("DOCKER_AUTH_CONFIG", "DOCKER_CONFIG");

/// An artifact in a registry.
pub(super) struct Artifact {
    client: reqwest::Client,
    /// The host as it is written.
    host: String,
    base: Url,
    name: String,
    version: String,
    /// What is sent with each request, once the registry has asked for it.
    authorization: Option<HeaderValue>,
}

/// A manifest of one archive.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: String,
}

impl Artifact {
    /// An artifact by its name, which was checked.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn of(oci: &str) -> Result<Self> {
        let odd = || Error::failed("it does not name an artifact in a registry");
        let (host, rest) = oci.split_once('/').ok_or_else(odd)?;
        let (name, version) = match rest.split_once('@') {
            Some((name, digest)) => (name.split(':').next().unwrap_or_default(), digest),
            None => rest.rsplit_once(':').ok_or_else(odd)?,
        };
        // Docker's own registry is elsewhere than its name says.
        let at = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let plain = format!("http://{at}/");
        let base = if http::is_here(&plain) { plain } else { format!("https://{at}/") };
        Ok(Self {
            client: http::of_downloads(&base)?,
            host: host.to_owned(),
            base: Url::parse(&base).context(|| "failed to read its host".to_owned())?,
            name: name.to_owned(),
            version: version.to_owned(),
            authorization: None,
        })
    }

    /// Fetches the archive, with the digest of the manifest that names it; that manifest is given
    /// where it is pinned.
    ///
    /// # Errors
    ///
    /// What the registry refuses; an artifact that is not one archive; a digest that does not fit.
    pub(super) async fn fetch(mut self, pinned: Option<Digest>) -> Result<(Digest, Vec<u8>)> {
        let version = pinned.map_or_else(|| self.version.clone(), |digest| digest.to_string());
        let bytes = self.get(&format!("manifests/{version}"), MANIFEST).await?;
        let digest = Digest::of(&bytes);
        if version.parse::<Digest>().is_ok_and(|wanted| wanted != digest) {
            return Err(Error::failed(format!("its manifest is {digest}, not {version}")));
        }
        let layer = the_layer(&bytes)?;
        let blob = self.get(&format!("blobs/{layer}"), LARGEST).await?;
        match Digest::of(&blob) == layer {
            true => Ok((digest, blob)),
            false => {
                Err(Error::failed(format!("its archive is not {layer}, as its manifest says")))
            }
        }
    }

    /// Asks for something of the artifact, with a credential once the registry asks for one.
    async fn get(&mut self, what: &str, limit: usize) -> Result<Vec<u8>> {
        let url = self.base.join(&format!("v2/{}/{what}", self.name));
        let url = url.context(|| "failed to make a URL of it".to_owned())?;
        let mut answer = answered(self.request(&url)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = Some(self.authorized(&answer).await?);
            answer = answered(self.request(&url)).await?;
        }
        let status = answer.status();
        if !status.is_success() {
            let error = Error::failed(format!("the registry answered {status}"));
            return Err(match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.hint(self.sign_in()),
                _ => error,
            });
        }
        read(answer, limit).await
    }

    fn request(&self, url: &Url) -> RequestBuilder {
        let request = self.client.get(url.clone()).header(ACCEPT, MANIFESTS);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    fn sign_in(&self) -> String {
        format!(
            "`docker login {}` keeps a credential that is used here; {} may have it, too",
            self.host, CREDENTIALS.0
        )
    }

    /// What a registry wants to be sent, by what it answered.
    async fn authorized(&self, refused: &Response) -> Result<HeaderValue> {
        let header = refused.headers().get(WWW_AUTHENTICATE).and_then(|it| it.to_str().ok());
        let challenge = header.unwrap_or_default();
        let basic = basic_of(&self.host)?;
        let Some(asked) = strip_word(challenge, "bearer") else {
            return match (strip_word(challenge, "basic"), basic) {
                (Some(_), Some(basic)) => sealed("Basic", &basic),
                _ => Err(Error::failed("the registry wants a credential").hint(self.sign_in())),
            };
        };
        let realm = parameter(asked, "realm").and_then(|realm| Url::parse(&realm).ok());
        let realm = realm.filter(|it| it.scheme() == "https" || http::is_here(it.as_str()));
        let odd = || Error::failed("the registry says in an unknown way where its tokens are");
        let mut realm = realm.ok_or_else(odd)?;
        let scope = format!("repository:{}:pull", self.name);
        let service = parameter(asked, "service");
        let service = service.iter().map(|service| ("service", service));
        realm.query_pairs_mut().extend_pairs(service).append_pair("scope", &scope);
        let mut request = http::of_downloads(realm.as_str())?.get(realm);
        if let Some(basic) = &basic {
            request = request.header(AUTHORIZATION, sealed("Basic", basic)?);
        }
        let answer = answered(request).await?;
        if !answer.status().is_success() {
            let told = format!("the registry refused a token: {}", answer.status());
            return Err(Error::failed(told).hint(self.sign_in()));
        }
        let told: Value =
            serde_json::from_slice(&read(answer, http::STANDARD).await?).map_err(|_| odd())?;
        let token = ["token", "access_token"].iter().find_map(|name| told.get(name)?.as_str());
        let token = SecretString::from(token.ok_or_else(odd)?.to_owned());
        conceal::secret(&token);
        sealed("Bearer", &token)
    }
}

/// A header that is never shown.
fn sealed(scheme: &str, credential: &SecretString) -> Result<HeaderValue> {
    let header = HeaderValue::try_from(format!("{scheme} {}", credential.expose_secret()));
    let mut header = header.map_err(|_| Error::failed("the credential cannot be sent"))?;
    header.set_sensitive(true);
    Ok(header)
}

async fn answered(request: RequestBuilder) -> Result<Response> {
    let late = || Error::failed("the registry did not answer in time");
    let answer = tokio::time::timeout(TIME, http::send(request)).await.map_err(|_| late())?;
    answer.map_err(|unanswered| {
        let hint = unanswered.hint.clone();
        let error = Error::failed("the registry did not answer").because(unanswered);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

async fn read(answer: Response, limit: usize) -> Result<Vec<u8>> {
    let read = tokio::time::timeout(TIME, http::body(answer, limit)).await;
    let late = || Error::failed("the registry did not answer in time");
    read.map_err(|_| late())?.context(|| "failed to read the registry's answer".to_owned())
}

/// The one archive that a manifest names.
fn the_layer(manifest: &[u8]) -> Result<Digest> {
    let wrong = |what: &str| {
        Error::failed(format!("the artifact {what}")).hint(
            "push the folder alone, as with `oras push HOST/NAME:TAG manifests/`: one layer, tar+gzip",
        )
    };
    let Manifest { layers } = serde_json::from_slice(manifest)
        .map_err(|_| wrong("has a manifest that cannot be read"))?;
    match layers.as_slice() {
        [] => Err(wrong("has no layer, as a list of several artifacts")),
        [layer] if layer.media_type.contains("zstd") => Err(wrong("is packed with zstd")),
        [layer] if ["tar", "zip"].iter().any(|it| layer.media_type.contains(it)) => {
            layer.digest.parse().map_err(|_| wrong("names its layer in an unknown way"))
        }
        [layer] => {
            let sort = visible::line(&layer.media_type).into_owned();
            Err(wrong(&format!("is no archive of files, but {sort}")))
        }
        layers => Err(wrong(&format!("has {} layers", layers.len()))),
    }
}

/// What follows a word, whatever its case.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// A parameter of a challenge, which is in quotes.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some((written, after)) = rest.split_once('=') {
        let (value, more) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if written.trim_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = more;
    }
    None
}

/// Where Docker keeps its credentials.
fn kept() -> Option<PathBuf> {
    let given = std::env::var_os(CREDENTIALS.1).filter(|it| !it.is_empty()).map(PathBuf::from);
    let folder = given.or_else(|| Some(std::env::home_dir()?.join(".docker")))?;
    Some(folder.join("config.json"))
}

/// The user and the password for a host, as they are sent.
fn basic_of(host: &str) -> Result<Option<SecretString>> {
    let given = std::env::var(CREDENTIALS.0).ok().filter(|text| !text.is_empty());
    let in_file = || kept().and_then(|path| bounded::text(&path, http::STANDARD).ok());
    let Some(text) = given.or_else(in_file) else { return Ok(None) };
    credential(&text, host)
}

/// The credential for a host in a configuration of Docker's.
fn credential(text: &str, host: &str) -> Result<Option<SecretString>> {
    // The text holds secrets, so nothing of it is told.
    let config: Value = serde_json::from_str(text).map_err(|_| {
        Error::failed("the credentials of Docker cannot be read: they are not JSON")
    })?;
    let hub = "https://index.docker.io/v1/";
    let is_its = |name: &str| {
        let bare = name.trim_start_matches("https://").trim_start_matches("http://");
        bare.split('/').next() == Some(host) || host == "docker.io" && name == hub
    };
    let auths = config.get("auths").and_then(Value::as_object);
    let found = auths.into_iter().flatten().find(|(name, _)| is_its(name)).map(|(_, found)| found);
    let text = |name: &str| found?.get(name)?.as_str().filter(|it| !it.is_empty());
    let sent = match (text("auth"), text("username").zip(text("password"))) {
        (Some(auth), _) => auth.to_owned(),
        (None, Some((user, password))) => BASE64.encode(format!("{user}:{password}")),
        (None, None) => return Ok(None),
    };
    let sent = SecretString::from(sent);
    conceal::secret(&sent);
    Ok(Some(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_where_tokens_are() {
        let header = r#"Bearer realm="https://auth.test/token?a=1,b",service="r.test", scope=x"#;
        let asked = strip_word(header, "bearer").unwrap();
        let parameter = |name| parameter(asked, name);
        assert_eq!(parameter("realm").as_deref(), Some("https://auth.test/token?a=1,b"));
        assert_eq!(parameter("service").as_deref(), Some("r.test"));
        assert_eq!(parameter("scope").as_deref(), Some("x"));
        assert_eq!(parameter("other"), None);
        assert_eq!(strip_word("Basic realm=\"x\"", "bearer"), None);
        assert!(strip_word("Basic", "basic").is_some());
    }

    #[test]
    fn a_credential_is_for_its_host_alone() {
        let text = r#"{"auths": {"https://r.test/v2/": {"auth": "dTpw"},
            "q.test": {"username": "u", "password": "p"}, "none.test": {}}}"#;
        let of = |host: &str| {
            let found = credential(text, host).unwrap();
            found.map(|it| it.expose_secret().to_owned())
        };
        assert_eq!(of("r.test").as_deref(), Some("dTpw"));
        assert_eq!(of("q.test").as_deref(), Some("dTpw"));
        for host in ["none.test", "r.test.evil", "evil", ""] {
            assert_eq!(of(host), None, "{host}");
        }
        assert!(credential("{", "r.test").is_err());
    }

    #[test]
    fn an_artifact_is_one_archive() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let layer = |sort: &str| format!(r#"{{"mediaType": "{sort}", "digest": "{digest}"}}"#);
        let told = |layers: &[String]| {
            let manifest = format!(r#"{{"layers": [{}]}}"#, layers.join(", "));
            the_layer(manifest.as_bytes()).map_err(|error| error.message)
        };
        let tar = layer("application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(told(std::slice::from_ref(&tar)).unwrap().to_string(), digest);
        for (layers, why) in [
            (vec![], "the artifact has no layer, as a list of several artifacts"),
            (vec![tar.clone(), tar], "the artifact has 2 layers"),
            (vec![layer("a.tar+zstd")], "the artifact is packed with zstd"),
            (vec![layer("text/plain")], "the artifact is no archive of files, but text/plain"),
        ] {
            assert_eq!(told(&layers).unwrap_err(), why);
        }
    }
}
