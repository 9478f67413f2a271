//! How a container is made and started, and what is never given to one.

use std::collections::BTreeMap;

use rustix::process::{Resource, getrlimit};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::mounts::{self, Prepared};
use crate::spec::{self, Limits, Spec};
use crate::wire::{Call, Subject, escaped};

/// What the first processes of ordinary images need of an administrator's rights, and no more: they
/// make the folder of their data their own, become another user, end what they started as another
/// user, and listen on a port like 80. Left out, of what engines give by themselves, is what
/// makes devices (`MKNOD`), forges packets (`NET_RAW`), gives rights to files or to itself
/// (`SETFCAP`, `SETPCAP`, `FSETID`), changes the root (`SYS_CHROOT`) and writes to the log of the
/// kernel's auditor (`AUDIT_WRITE`).
const CAPABILITIES: [&str; 7] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// Where programs write that only read their image otherwise.
const WRITABLE: [&str; 3] = ["/tmp", "/var/tmp", "/run"];

/// How many processes a user may have on the whole machine, in all containers together: the number
/// of the container's own is bounded otherwise. It is what Linux numbers by default, and Podman's
/// service gives itself no more.
const MOST_OF_USER: u64 = 32768;

impl Engine {
    /// Makes a container and starts it. The image and the network are here already.
    ///
    /// The words of the command follow the entry point of the image, if it has one. Folders that the
    /// image itself declares as volumes can be written to, and are removed with the container; the
    /// engine does not bound them. When this
    /// fails, or is dropped, nothing stays of the container.
    pub async fn run(&self, spec: &Spec) -> Result<String> {
        let words = spec.checked()?;
        if let Some(name) = &spec.network {
            self.find_network(name).await?;
        }
        let prepared = Prepared::new(self, &spec.mounts, spec.limits.empty).await?;
        let mut body = described(spec, words, &prepared);
        let made = match self.start(spec, &body, &prepared).await {
            Err(Error::Refused { text, .. }) if lacks_init(&text) => {
                body["HostConfig"]["Init"] = Value::Bool(false);
                self.start(spec, &body, &prepared).await
            }
            made => made,
        };
        let id = made?;
        prepared.keep();
        Ok(id)
    }

    async fn start(&self, spec: &Spec, body: &Value, prepared: &Prepared) -> Result<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        let what = format!("run a container of {}", spec.image);
        let mut call = Call::post("/containers/create", &what).json(body);
        if let Some(name) = &spec.name {
            call = call.with("name", name);
        }
        let call = call.about(Subject::Image(spec.image.clone()));
        // A task of its own, for what is made must be known even if this is dropped meanwhile.
        let engine = self.clone();
        let made = tokio::spawn(async move {
            let created: Created = engine.wire.json(call).await?;
            Ok(Removed::new(&engine, created.id))
        });
        let removed = made.await.map_err(|error| Error::system(&what, error))??;
        let id = removed.id();
        match self.start_compared(&id, &what, prepared).await {
            Ok(()) => {
                removed.keep();
                Ok(id)
            }
            Err(error) => {
                removed.now().await;
                Err(error)
            }
        }
    }

    /// Starts a container that has the folders which were meant.
    ///
    /// An engine takes folders by their paths, and a program in another container may replace one
    /// of them in the moment between our look at it and the engine's. Podman can mount everything
    /// before the first process starts, which is when we look once more. Docker cannot, so there we
    /// look right after the start, and a container with another folder runs for a moment. Whether
    /// one had it that ended within that moment can only be told by the path.
    async fn start_compared(&self, id: &str, what: &str, prepared: &Prepared) -> Result<()> {
        let path = |verb: &str| format!("/containers/{}/{verb}", escaped(id));
        let about = || Subject::Container(id.to_owned());
        let is_compared_before = prepared.has_folders() && self.about().is_podman();
        if is_compared_before {
            let call = Call::post("", what).of_podman(&path("init")).about(about());
            self.wire.done(call).await?;
            prepared.compare(self.process(id).await?.unwrap_or_default())?;
        }
        self.wire.done(Call::post(path("start"), what).about(about())).await?;
        if prepared.has_folders() && !is_compared_before {
            // What has ended already has no process to look at.
            prepared.compare(self.process(id).await?.unwrap_or_default())?;
        }
        Ok(())
    }

    /// The number of a container's first process.
    pub(crate) async fn process(&self, id: &str) -> Result<Option<i32>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            state: State,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct State {
            pid: i32,
        }
        let call = Call::get(format!("/containers/{}/json", escaped(id)), "look at a container");
        let inspected: Inspected =
            self.wire.json(call.about(Subject::Container(id.to_owned()))).await?;
        Ok(Some(inspected.state.pid).filter(|&it| it > 0))
    }
}

/// Whether an engine says that it has no program to reap processes with. They are none of an
/// error's numbers in its interface.
fn lacks_init(text: &str) -> bool {
    let is_of_init =
        ["container-init", "docker-init", "catatonit"].iter().any(|it| text.contains(it));
    is_of_init && (text.contains("not found") || text.contains("no such file"))
}

/// A container as the engine is told of it.
fn described(spec: &Spec, words: Option<Vec<String>>, prepared: &Prepared) -> Value {
    let Limits { memory, processors, processes, shared_memory, log, empty, .. } = spec.limits;
    let mut labels: BTreeMap<&str, String> =
        spec.labels.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    labels.remove(mounts::SCRATCH);
    labels.remove(mounts::CONTENTS);
    labels.extend(prepared.labels());
    let mut mounts = prepared.mounts.clone();
    if !spec.writable_root {
        // Podman makes them itself, but without a size.
        let free = |path: &&&str| !spec.mounts.iter().any(|it| it.target() == **path);
        mounts.extend(WRITABLE.iter().filter(free).map(|it| mounts::in_memory(it, empty)));
    }
    let ports = |value: &dyn Fn(Option<u16>) -> Value| -> serde_json::Map<String, Value> {
        let named = |it: &spec::Port| (format!("{}/tcp", it.inside), value(it.outside));
        spec.ports.iter().map(named).collect()
    };
    let bindings = ports(&|outside| {
        let port = outside.map(|it| it.to_string()).unwrap_or_default();
        json!([{ "HostIp": "127.0.0.1", "HostPort": port }])
    });
    let hosts: Vec<String> = spec.hosts.iter().map(|(name, to)| format!("{name}:{to}")).collect();
    let mut body = json!({
        "Image": spec.image,
        "Env": spec::assignments(&spec.env),
        "Labels": labels,
        "ExposedPorts": ports(&|_| json!({})),
        "HostConfig": {
            "NetworkMode": spec.network.as_deref().unwrap_or("none"),
            "IpcMode": "private",
            "Init": true,
            "Privileged": false,
            "CapDrop": ["ALL"],
            "CapAdd": CAPABILITIES,
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": !spec.writable_root,
            "Mounts": mounts,
            "PortBindings": bindings,
            "ExtraHosts": hosts,
            "Memory": memory,
            "MemorySwap": memory,
            "NanoCpus": nano(processors),
            "PidsLimit": processes,
            "ShmSize": shared_memory,
            "Ulimits": ulimits(spec.limits.files),
            "LogConfig": { "Type": "json-file", "Config": { "max-size": log.max(4096).to_string() } },
        },
    });
    if let Some(words) = words {
        body["Cmd"] = json!(words);
    }
    if let Some(folder) = &spec.working_dir {
        body["WorkingDir"] = json!(folder);
    }
    if let Some(network) = &spec.network {
        body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: {} } });
    }
    body
}

/// Processors as engines count them. The number was checked to be small.
fn nano(processors: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let nano = (processors * 1e9) as u64;
    nano
}

/// Limits of each process, none above those of this one: an engine that may not raise its own
/// limits can start nothing with higher ones.
fn ulimits(files: u64) -> Value {
    let allowed =
        |resource, wanted: u64| wanted.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
    let files = allowed(Resource::Nofile, files);
    let processes = allowed(Resource::Nproc, MOST_OF_USER);
    json!([
        { "Name": "nofile", "Soft": files, "Hard": files },
        { "Name": "nproc", "Soft": processes, "Hard": processes },
        { "Name": "core", "Soft": 0, "Hard": 0 },
    ])
}

/// Removes a container unless it is kept, also when what uses it is dropped in the middle.
pub(crate) struct Removed {
    engine: Engine,
    id: Option<String>,
}

impl Removed {
    pub fn new(engine: &Engine, id: String) -> Self {
        Self { engine: engine.clone(), id: Some(id) }
    }

    /// What it is found by.
    pub fn id(&self) -> String {
        self.id.clone().unwrap_or_default()
    }

    pub fn keep(mut self) {
        self.id = None;
    }

    /// Removes it now. What fails is less than the error that led here.
    pub async fn now(mut self) {
        if let Some(id) = self.id.take() {
            let _ = self.engine.remove(&id, true).await;
        }
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { engine.remove(&id, true).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_program_that_reaps_is_told_from_other_errors() {
        for text in [
            "container-init binary not found on the host: stat /usr/libexec/podman/catatonit: no such file or directory",
            "exec: \"docker-init\": executable file not found in $PATH",
        ] {
            assert!(lacks_init(text), "{text}");
        }
        assert!(!lacks_init("exec: \"catatonit-of-mine\": permission denied"));
        assert!(!lacks_init("executable file not found in $PATH"));
    }
}
