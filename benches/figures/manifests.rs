//! Manifests of made-up projects, as large as a figure needs them.

use std::fs;
use std::path::Path;

/// How many objects of each kind a project has.
pub struct Mix {
    /// Rooms.
    pub rooms: usize,
    /// Services in each room.
    pub room_services: usize,
    /// Services in every room.
    pub project_services: usize,
    /// Secrets.
    pub secrets: usize,
    /// Mailboxes.
    pub mailboxes: usize,
    /// Routes.
    pub routes: usize,
    /// Scheduled tasks.
    pub tasks: usize,
    /// Webhooks.
    pub webhooks: usize,
    /// Whether services refer to the secrets.
    pub refers: bool,
}

impl Mix {
    /// How many objects there are.
    pub fn objects(&self) -> usize {
        self.services()
            + self.rooms
            + self.secrets
            + self.mailboxes
            + self.routes
            + self.tasks
            + self.webhooks
    }

    /// How many services there are.
    pub fn services(&self) -> usize {
        self.rooms * self.room_services + self.project_services
    }

    /// Writes the manifests. The services of every second room are one file each; all else
    /// stands in files of many documents.
    pub fn write(&self, folder: &Path) {
        let rooms = (0..self.rooms).map(|index| {
            format!("version: v1\nkind: Room\nmetadata:\n  name: room-{index:03}\n  annotations:\n    team: team-{}\nroom_metadata:\n  displayName: Room {index}\n", index % 7)
        });
        write(folder, "rooms.yaml", rooms);
        let secrets = (0..self.secrets).map(|index| {
            format!("version: v1\nkind: Secret\nmetadata:\n  name: keys-{index:03}\ntype: keys\ndata:\n  API_KEY: key-{index}-of-a-model-that-answers\n  LOG_LEVEL: info\n")
        });
        write(folder, "secrets.yaml", secrets);
        let room = |index: usize| format!("room-{:03}", index % self.rooms);
        let mailboxes = (0..self.mailboxes).map(|index| {
            format!("version: v1\nkind: Mailbox\nmetadata:\n  name: help-{index}@mail.meshagent.com\nroom: {}\nqueue: mail\npublic: true\n", room(index))
        });
        let routes = (0..self.routes).map(|index| {
            format!("version: v1\nkind: Route\nmetadata:\n  name: site-{index}.meshagent.app\nroom: {}\nport: 5000\n", room(index))
        });
        let tasks = (0..self.tasks).map(|index| {
            format!("version: v1\nkind: ScheduledTask\nmetadata:\n  name: digest-{index}\nroom: {}\nqueue: mail\nschedule: \"{} 7 * * 1-5\"\npayload:\n  prompt: Write the digest of yesterday's questions.\n", room(index), index % 60)
        });
        write(folder, "reach.yaml", mailboxes.chain(routes).chain(tasks));
        let webhooks = (0..self.webhooks).map(|index| {
            format!("version: v1\nkind: Webhook\nmetadata:\n  name: events-{index}\nurl: https://hooks.example.com/{index}\nevents: [room.started, room.ended]\n")
        });
        write(folder, "webhooks.yaml", webhooks);
        let wide = (0..self.project_services).map(|index| self.service(None, index));
        write(folder, "services.yaml", wide);
        for index in 0..self.rooms {
            let place = room(index);
            let services = (0..self.room_services).map(|index| self.service(Some(&place), index));
            if index % 2 == 0 {
                write(folder, &format!("services/{place}.yaml"), services);
            } else {
                for (number, service) in services.enumerate() {
                    write(folder, &format!("services/{place}/{number:03}.yaml"), [service]);
                }
            }
        }
    }

    fn service(&self, room: Option<&str>, index: usize) -> String {
        let place = room.map(|room| format!("room: {room}\n")).unwrap_or_default();
        let secrets = if self.refers && self.secrets > 0 {
            format!("  secrets: [keys-{:03}]\n", index % self.secrets)
        } else {
            String::new()
        };
        let port = 5000 + index;
        format!(
            "version: v1
kind: Service
metadata:
  name: agent-{index:03}
  description: Answers questions of sort {index}.
  annotations:
    meshagent.service.id: agent-{index:03}
{place}agents:
  - name: agent-{index:03}
    description: Knows what was said before.
    annotations:
      meshagent.agent.type: ChatBot
ports:
  - num: {port}
    type: http
    published: true
    liveness: /
    endpoints:
      - path: /agent
        meshagent:
          identity: agent-{index:03}
container:
  image: meshagent/cli:default
  command: meshagent chatbot join --agent-name agent-{index:03} --require-storage
{secrets}  environment:
    - name: MESHAGENT_TOKEN
      token:
        identity: agent-{index:03}
    - name: LOG_LEVEL
      value: info
  storage:
    room:
      - path: /data
"
        )
    }
}

fn write(folder: &Path, name: &str, documents: impl IntoIterator<Item = String>) {
    let documents: Vec<String> = documents.into_iter().collect();
    if documents.is_empty() {
        return;
    }
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, documents.join("---\n")).expect("a manifest");
}
