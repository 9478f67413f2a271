//! The container of a service: what it is given, how it is made, and how it works in its room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meshagent_containers::{Command, Error, Port, Spec, Variables};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use super::super::calls::refused;
use super::super::containers::given::{Copies, Giving, TOKEN, in_room};
use super::super::containers::owned::{Ownership, labels};
use super::super::containers::{reach, told};
use super::super::room::Room;
use super::super::toolkits::agents::admit;
use super::super::toolkits::images;
use super::declared::Declared;
use super::journal::Journal;
use super::life::{Backoff, Found, Pulse};
use super::site::{Servers, Site, ended};
use crate::kinds::specs::scope::ApiScope;
use crate::kinds::specs::service::{EnvironmentVariable, PortSpec, SecretValue};
use crate::platform::auth::participant::Given;
use crate::platform::auth::scope;
use crate::platform::error::Refusal;
use crate::platform::objects::{room_secrets, service_secrets};
use crate::room::codes;
use crate::room::content::Refused;

/// How often a container is asked whether it is live: until it is, and then.
const UNTIL: Duration = Duration::from_millis(500);
const THEN: Duration = Duration::from_secs(5);

/// The role of participants that services bring along, where they do not say one.
const AGENT: &str = "agent";

/// The container of a service in a room.
#[derive(Clone)]
pub struct Boxed {
    /// Where what happens to it is told.
    pub journal: Journal,
    /// What it is to be.
    pub declared: Arc<Declared>,
}

/// A container that was made.
pub struct Made {
    /// Its id.
    pub id: String,
    /// What was copied for it, which is removed with this.
    _copies: Copies,
    /// Where it reaches the platform.
    url: String,
    /// When it was started.
    at: Instant,
}

/// How a service is in its container.
pub enum News<'a> {
    /// It works.
    Works,
    /// It does not work yet: why.
    Begins(&'a str),
    /// It does not answer any more: why.
    Silent(&'a str),
}

impl Boxed {
    fn room(&self) -> &Arc<Room> {
        &self.journal.room
    }

    /// Sees to it that its image is there. That may take as long as an image takes.
    ///
    /// # Errors
    ///
    /// It is not there, and cannot be fetched; the message has its name.
    pub async fn fetch(&self) -> Result<(), Refused> {
        let image = self.declared.image();
        match self.room().house.containers.engine().await?.digest_of(&image).await {
            Err(Error::NoImage { .. }) => {}
            found => return found.map(drop).map_err(told),
        }
        let known = match &self.declared.pull_secret {
            None => Vec::new(),
            Some(secret) => {
                let store = &self.room().house.store;
                let known = service_secrets::registry(store, &self.declared.id, secret).await;
                vec![known.map_err(|refusal| stored(&refusal))?]
            }
        };
        images::fetch(self.room(), image.clone(), known).await.map_err(|why| Refused {
            text: format!("its image {image} is not here, and was not fetched: {why}"),
            ..why
        })
    }

    /// Makes the container, and starts it. Somebody who asked for it owns it; otherwise it is the
    /// room's, and runs as long as the service does. `more` are variables besides its own.
    ///
    /// # Errors
    ///
    /// Something that it is to be given is not there; the room has too many containers; the
    /// engine's.
    pub async fn make(&self, owner: Option<Ownership>, more: Variables) -> Result<Made, Refused> {
        let (room, declared) = (self.room(), &self.declared);
        let containers = &room.house.containers;
        let engine = containers.engine().await?;
        let container = declared.spec.container.as_ref();
        let container = container.ok_or_else(|| Refused::new("the service has no container"))?;
        let (numbers, told_port) = declared.numbers().map_err(Refused::invalid)?;
        let giving = Giving { room, caller: None };
        let mounts = match declared.storage.is_null() {
            true => Vec::new(),
            false => giving.mounts(&declared.storage).await?,
        };
        let copies = Copies::of(&mounts, room);
        let _place = containers.place(&room.id).await?;
        let _kept = containers.keep_network(&room.id).await;
        let url = containers.url(room, engine).await?;
        let mut env = self.variables(told_port).await?;
        env.extend(more);
        let env = giving.variables(containers, env.into_iter().collect()).await?;

        let mut common = containers.spec(room);
        let mut label = |name: &str, of: &str| {
            // Engines take no control characters there.
            let of = of.chars().filter(|it| !it.is_control()).collect();
            common.labels.insert(name.to_owned(), of)
        };
        label(labels::SERVICE, &declared.id);
        label(labels::NAME, &declared.spec.metadata.name);
        if owner.is_none() {
            label(labels::DIGEST, &declared.digest);
        }
        owner.unwrap_or_else(|| Ownership::of_room(container.private)).label(&mut common.labels);
        let mut ports = reach::published(engine, numbers);
        for (inside, outside) in declared.host_ports() {
            ports.retain(|port| port.inside != inside);
            ports.push(Port { inside, outside: Some(outside) });
        }
        let spec = Spec {
            image: declared.image(),
            command: container.command.clone().map_or(Command::OfImage, Command::Line),
            working_dir: container.working_dir.clone(),
            env,
            mounts,
            writable_root: container.writable_root_fs.unwrap_or_default(),
            ports,
            ..common
        };
        let id = engine.run(&spec).await.map_err(told)?;
        Ok(Made { id, _copies: copies, url, at: Instant::now() })
    }

    /// Its variables: its port and its token, pairs of secrets, and what it declares, of which
    /// the last counts.
    async fn variables(
        &self,
        port: Option<u16>,
    ) -> Result<BTreeMap<String, SecretString>, Refused> {
        let (room, declared) = (self.room(), &self.declared);
        let store = &room.house.store;
        let mut env = BTreeMap::new();
        if let Some(port) = port {
            env.insert("MESHAGENT_PORT".to_owned(), port.to_string().into());
        }
        if let Some((name, called)) = declared.own() {
            let api = called.and_then(|called| called.api.as_ref());
            let token = self.token((name, AGENT), api).await?;
            if declared.is_agent {
                for key in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"] {
                    env.insert(key.to_owned(), token.clone());
                }
            }
            env.insert(TOKEN.to_owned(), token);
        }
        let container = declared.spec.container.as_ref();
        for secret in container.and_then(|it| it.secrets.as_ref()).into_iter().flatten() {
            let pairs = service_secrets::keys(store, &declared.id, secret).await;
            env.extend(pairs.map_err(|refusal| stored(&refusal))?);
        }
        for variable in container.and_then(|it| it.environment.as_ref()).into_iter().flatten() {
            if let Some(value) = self.value(variable).await? {
                env.insert(variable.name.clone(), value);
            }
        }
        Ok(env)
    }

    /// The value of a variable, if it has one.
    async fn value(&self, variable: &EnvironmentVariable) -> Result<Option<SecretString>, Refused> {
        let about = |why: &dyn std::fmt::Display| {
            let text = format!("the variable {} has no value: {why}", variable.name);
            refused(codes::OPERATION_FAILED, text)
        };
        let store = &self.room().house.store;
        if let Some(secret) = self.declared.secrets.get(&variable.name) {
            let held = service_secrets::held(store, &self.declared.id, secret).await;
            let held = held.map_err(|refusal| about(&refusal))?;
            let held = held.ok_or_else(|| about(&format!("there is no secret {secret:?}")))?;
            return match held.http_only {
                true => Err(about(&format!("the secret {secret:?} is only used in requests"))),
                false => Ok(Some(held.value)),
            };
        }
        if let Some(token) = &variable.token {
            let role = token.role.as_deref().unwrap_or(AGENT);
            return self.token((&token.identity, role), token.api.as_ref()).await.map(Some);
        }
        match &variable.secret {
            Some(secret) => self.secret(secret).await.map(Some).map_err(|why| about(&why)),
            None => Ok(variable.value.clone().map(SecretString::from)),
        }
    }

    /// A secret of the room.
    async fn secret(&self, secret: &SecretValue) -> Result<SecretString, Refusal> {
        let (room, id) = (self.room(), secret.id.as_str());
        let store = &room.house.store;
        let Some(identity) = &secret.identity else {
            return Err(Refusal::Conflict(format!("it does not say whose the secret {id:?} is")));
        };
        let wanted = room_secrets::Wanted {
            reader: identity,
            delegated_to: None,
            delegated_by: None,
            is_token: false,
            secret_id: Some(id),
            kind: None,
            name: None,
        };
        let found = room_secrets::find(store, &room.id, wanted).await?;
        let missing =
            || Refusal::NotFound(format!("{identity:?} has no secret {id:?} in the room"));
        let value = room_secrets::open(store, &found.ok_or_else(missing)?).await?;
        let no_text = |_| Refusal::Conflict(format!("the secret {id:?} is no text"));
        std::str::from_utf8(value.expose_secret()).map(SecretString::from).map_err(no_text)
    }

    /// A token of a participant that the service brings along.
    async fn token(
        &self,
        who: (&str, &str),
        api: Option<&ApiScope>,
    ) -> Result<SecretString, Refused> {
        let room = self.room();
        let signed = async {
            let api = match api {
                Some(api) => serde_json::to_value(api)?,
                None => scope::usual(),
            };
            let given = Given::of_owner(room.house.store.reads(), &room.project).await?;
            admit(room, given, who, scope::present(api)).await
        };
        signed.await.map_err(|refusal| stored(&refusal))
    }

    /// Has the service work in the room as long as its container is live; says why it counts as
    /// dead. `tell` hears how it is.
    pub async fn work(&self, made: &Made, tell: impl Fn(News<'_>)) -> String {
        let spec = &self.declared.spec;
        let needs = spec.ports.iter().flatten().any(|it| it.liveness.is_some() || is_called(it));
        if !needs {
            tell(News::Works);
            return std::future::pending().await;
        }
        let (mut pulse, mut backoff) = (Pulse::default(), Backoff::default());
        let mut called = BTreeSet::new();
        let mut servers: Option<Servers> = None;
        loop {
            let looked = self.look(made).await;
            let found = pulse.look(looked.is_ok(), made.at.elapsed());
            let pause = match (looked, found) {
                (Err(why), Found::Dead) => return format!("it does not answer: {why}"),
                (Err(why), Found::Silent) => {
                    tell(News::Silent(&why));
                    THEN
                }
                (Err(why), _) => {
                    tell(News::Begins(&why));
                    UNTIL
                }
                (Ok(site), _) if servers.is_none() => match site.call(&mut called).await {
                    Ok(there) => {
                        self.journal.log("INFO", "the service was called to the room");
                        servers = Some(there);
                        tell(News::Works);
                        THEN
                    }
                    Err(why) => {
                        let text = format!("the service was not called to the room: {why}");
                        self.journal.log("ERROR", &text);
                        tell(News::Begins(&why));
                        backoff.after(Duration::ZERO)
                    }
                },
                (Ok(_), _) => {
                    tell(News::Works);
                    THEN
                }
            };
            let gone = async {
                match &mut servers {
                    Some(servers) if !servers.is_empty() => ended(servers).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                why = gone => {
                    let why = format!("a toolkit of the service is gone: {}", why.unwrap_or_default());
                    self.journal.log("ERROR", &why);
                    tell(News::Begins(&why));
                    servers = None;
                    sleep(backoff.after(Duration::ZERO)).await;
                }
            }
        }
    }

    /// Whether it is live, and where.
    async fn look(&self, made: &Made) -> Result<Site, String> {
        let (room, declared) = (self.room(), &self.declared);
        let (numbers, _) = declared.numbers()?;
        let mut bases = Vec::new();
        for (number, port) in numbers.into_iter().zip(declared.spec.ports.iter().flatten()) {
            let is_needed = port.liveness.is_some() || is_called(port);
            bases.push(match is_needed {
                true => {
                    let reached = room.house.containers.reach(&room.id, &made.id, number).await;
                    format!("http://{}", reached.map_err(|why| why.text)?)
                }
                // Nobody asks there.
                false => String::new(),
            });
        }
        let site = Site {
            journal: self.journal.clone(),
            spec: Arc::clone(&declared.spec),
            bases,
            room_url: in_room(&made.url, &room.name, &[]).replacen("http", "ws", 1),
            is_inside: true,
        };
        site.is_live().await.map(|()| site)
    }
}

/// Whether something is called at a port, or its tools are offered.
fn is_called(port: &PortSpec) -> bool {
    port.endpoints.iter().any(|endpoint| endpoint.meshagent.is_some() || endpoint.mcp.is_some())
}

fn stored(refusal: &Refusal) -> Refused {
    refused(codes::OPERATION_FAILED, refusal.to_string())
}
