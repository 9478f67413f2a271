//! Networks of containers: one for each group that is to reach each other, and no other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::json;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::spec;
use crate::wire::{Call, Subject, escaped};

/// A network of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// What it is found by.
    pub id: String,
    /// The address of this machine in the network, where containers get to it. It is that of
    /// another machine where the engine runs in one.
    pub gateway: Option<IpAddr>,
    /// Whether the engine keeps packets of other networks out. Docker always does; Podman does
    /// with a recent netavark.
    pub is_isolated: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(rename = "IPAM")]
    addresses: Addresses,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Addresses {
    config: Option<Vec<Subnet>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Subnet {
    #[serde(default)]
    gateway: String,
}

impl Engine {
    /// The network of this name, which is made where there is none.
    pub async fn network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<Network> {
        spec::name("the name of a network", name)?;
        spec::labels(labels)?;
        match self.find_network(name).await {
            Err(Error::NoNetwork { .. }) => {}
            found => return found,
        }
        let mut body = json!({
            "Name": name,
            "CheckDuplicate": true,
            "Driver": "bridge",
            "Labels": labels,
        });
        if self.about().is_podman() {
            body["Options"] = json!({ "isolate": "true" });
        }
        let what = format!("make the network {name}");
        let made = self.wire.done(Call::post("/networks/create", what).json(&body)).await;
        match (made, self.find_network(name).await) {
            // Somebody else was faster, which is as well.
            (_, Ok(network)) => Ok(network),
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
        }
    }

    /// The network of this name.
    pub(crate) async fn find_network(&self, name: &str) -> Result<Network> {
        let call = Call::get(
            format!("/networks/{}", escaped(name)),
            format!("look at the network {name}"),
        );
        let call = call.about(Subject::Network(name.to_owned()));
        let inspected: Inspected = self.wire.json(call).await?;
        let subnets = inspected.addresses.config.unwrap_or_default();
        let options = inspected.options.unwrap_or_default();
        Ok(Network {
            id: inspected.id,
            gateway: subnets.iter().find_map(|it| it.gateway.parse().ok()),
            is_isolated: !self.about().is_podman()
                || options.get("isolate").is_some_and(|it| it == "true"),
        })
    }

    /// Removes a network that no container is in.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        let call = Call::delete(
            format!("/networks/{}", escaped(name)),
            format!("remove the network {name}"),
        );
        self.wire.done(call.about(Subject::Network(name.to_owned()))).await
    }
}
