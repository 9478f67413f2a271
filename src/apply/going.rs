//! What goes with an object that is deleted and is no object of any kind: keys, roles. No document
//! declares it, so only a look shows it.

use crate::api::reader::{ListError, Reader};
use crate::dialect::{GoesWith, Speaks, Target};
use crate::kinds::Key;
use crate::listed::few;
use crate::plan::{Action, Plan};
use crate::visible;

/// Notes on what goes with the objects that a plan deletes.
pub async fn going(reader: &Reader, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    for operation in plan.operations.iter().filter(|it| it.action() == Action::Delete) {
        let project = plan.projects.get(&operation.key.project).and_then(|it| it.id.as_deref());
        if let (Some(project), Some(id)) = (project, operation.id()) {
            let address = plan.address(&operation.key);
            let told = goes_with(reader, &operation.key, project, id).await;
            notes.extend(told.into_iter().map(|told| format!("{told} {address}")));
        }
    }
    notes
}

/// What goes with the object of a key, each as the beginning of a sentence that ends with its name.
pub async fn goes_with(reader: &Reader, key: &Key, project: &str, id: &str) -> Vec<String> {
    let target = Target::looked_for(key, project, Some(id));
    let mut told = Vec::new();
    for GoesWith { one, several, listing, named } in reader.spelling(key.kind).goes_with(&target) {
        match reader.list(&listing).await {
            Ok(items) => {
                let names: Vec<String> = items.iter().filter_map(|item| named(item, id)).collect();
                let count = names.len();
                let names = few(names.iter().map(|name| visible::line(name)));
                told.extend(match count {
                    0 => None,
                    1 => Some(format!("the {one} {names} goes with")),
                    _ => Some(format!("{count} {several} ({names}) go with")),
                });
            }
            // The platform has no such list.
            Err(ListError::Failed(error)) if error.status == Some(404) => {}
            Err(error) => told.push(format!("it is not known which {several} ({error}) go with")),
        }
    }
    told
}
