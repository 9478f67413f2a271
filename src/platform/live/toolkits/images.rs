//! Images: which there are, and how a room brings, changes and removes its own. All rooms and this
//! machine share the engine, so a room touches no name that it did not bring.

use std::sync::Arc;

use meshagent_containers::images::{Build as Building, Credentials};
use meshagent_containers::{Engine, Error, Mount};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::platform::live::calls::{Caller, denied, refused};
use crate::platform::live::containers::archive;
use crate::platform::live::containers::given::{Giving, below};
use crate::platform::live::containers::jobs::Job;
use crate::platform::live::containers::owned::Ownership;
use crate::platform::live::containers::told;
use crate::platform::live::files::{FilePath, failed};
use crate::platform::live::gates;
use crate::platform::live::room::Room;
use crate::platform::objects::room_images;
use crate::room::codes;
use crate::room::containers::{
    Build, Credential, DeleteImage, Image, Images, ListImages, LoadImage, PullImage, PushImage,
    SaveImage, Started,
};
use crate::room::content::Refused;
use crate::room::storage::UPDATED;

async fn engine(caller: &Caller) -> Result<Engine, Refused> {
    caller.room.house.containers.engine().await.cloned()
}

/// The images of the engine.
pub async fn list(caller: &Caller, _: ListImages) -> Result<Images, Refused> {
    let found = engine(caller).await?.images().await.map_err(told)?;
    let shown = |image: meshagent_containers::Image| Image {
        id: image.digest,
        tags: image.names,
        size: image.size,
        labels: image.labels,
    };
    Ok(Images { images: found.into_iter().map(shown).collect() })
}

/// Removes an image that the room brought.
pub async fn delete(caller: &Caller, asked: DeleteImage) -> Result<(), Refused> {
    let name = archive::whole(&asked.image);
    if !is_own(&caller.room, &name).await? {
        let engine = engine(caller).await?;
        engine.digest_of(&asked.image).await.map_err(told)?;
        return Err(Refused {
            text: format!("the room did not bring the image {name}, so it cannot remove it"),
            ..denied()
        });
    }
    match engine(caller).await?.remove_image(&asked.image).await {
        // Somebody else removed it, which is as well.
        Ok(()) | Err(Error::NoImage { .. }) => {}
        Err(error) => return Err(told(error)),
    }
    let store = &caller.room.house.store;
    room_images::forget(store, (&caller.room.id, &name)).await.map_err(|error| stored(&error))
}

/// Fetches an image.
pub async fn pull(caller: &Caller, asked: PullImage) -> Result<(), Refused> {
    fetch(&caller.room, asked.tag, credentials(asked.credentials)).await
}

/// Fetches an image for a room, and notes that the room brought it if it is new.
///
/// # Errors
///
/// There is no engine; it does not get the image.
pub async fn fetch(
    room: &Arc<Room>,
    image: String,
    known: Vec<Credentials>,
) -> Result<(), Refused> {
    let name = archive::whole(&image);
    let engine = room.house.containers.engine().await?.clone();
    // A name that is there is brought up to date for everybody, as its registry has it.
    let was_there = engine.digest_of(&image).await.is_ok();
    let noting = Arc::clone(room);
    let pull = async move {
        engine.pull(&image, &known).await.map_err(told)?.done().await.map_err(told)?;
        if !was_there {
            note(&noting, &name).await?;
        }
        Ok(())
    };
    room.to_the_end(pull).await
}

/// Sees to it that an image is there that is to be run, fetching it if that is allowed.
pub async fn ensure(caller: &Caller, image: &str, known: &[Credential]) -> Result<(), Refused> {
    match engine(caller).await?.digest_of(image).await {
        Ok(_) => Ok(()),
        Err(Error::NoImage { .. }) => {
            let scope = caller.guest.scope.as_ref();
            if !scope.is_some_and(|scope| gates::may_pull(scope, image)) {
                return Err(denied());
            }
            let asked = PullImage { tag: image.to_owned(), credentials: known.to_vec() };
            pull(caller, asked).await
        }
        Err(error) => Err(told(error)),
    }
}

/// Sends an image to its registry.
pub async fn push(caller: &Caller, asked: PushImage) -> Result<Started, Refused> {
    let engine = engine(caller).await?;
    engine.digest_of(&asked.tag).await.map_err(told)?;
    let known = credentials(asked.credentials);
    start(caller, (asked.tag.clone(), asked.private), move |job| async move {
        let progress = engine.push(&asked.tag, &known).await.map_err(told)?;
        job.follow(progress).await.map_err(told)
    })
}

/// Builds an image.
pub async fn build(caller: &Caller, asked: Build) -> Result<Started, Refused> {
    let engine = engine(caller).await?;
    let name = archive::whole(&asked.tag);
    bring(&caller.room, &engine, &asked.tag, &name).await?;
    let mounts = mounts(caller, &asked.mounts).await?;
    let (mount, context) = below(&mounts, &asked.context_path)?;
    let dockerfile = match &asked.dockerfile_path {
        None => None,
        Some(path) => {
            let context = asked.context_path.trim_end_matches('/');
            let inside = path.strip_prefix(context).and_then(|rest| rest.strip_prefix('/'));
            Some(inside.map(str::to_owned).ok_or_else(|| {
                Refused::invalid("the Dockerfile must be in the folder that is built")
            })?)
        }
    };
    let (trusted, folder) = place(mount, &context);
    let limits = caller.room.house.containers.limits();
    let building = Building { tag: asked.tag.clone(), dockerfile, limits };
    let (known, room) = (credentials(asked.credentials), Arc::clone(&caller.room));
    start(caller, (asked.tag, asked.private), move |job| async move {
        let progress = engine.build(&trusted, &folder, &building, &known).await.map_err(told)?;
        job.follow(progress).await.map_err(told)?;
        note(&room, &name).await
    })
}

/// Takes images from an archive.
pub async fn load(caller: &Caller, asked: LoadImage) -> Result<Started, Refused> {
    let engine = engine(caller).await?;
    let mounts = mounts(caller, &asked.mounts).await?;
    let (mount, rest) = below(&mounts, &asked.archive_path)?;
    let (trusted, path) = place(mount, &rest);
    let room = Arc::clone(&caller.room);
    let private = asked.private;
    start(caller, (asked.archive_path, private), move |job| async move {
        let file = archive::open(trusted, path).await?;
        let names = archive::names(&file).await?;
        for name in &names {
            bring(&room, &engine, name, &archive::whole(name)).await?;
        }
        let file = tokio::fs::File::from_std(file);
        let progress = engine.load(file).await.map_err(told)?;
        job.follow(progress).await.map_err(told)?;
        for name in &names {
            note(&room, &archive::whole(name)).await?;
        }
        Ok(())
    })
}

/// Writes an image to an archive in the room.
pub async fn save(caller: &Caller, asked: SaveImage) -> Result<Started, Refused> {
    let engine = engine(caller).await?;
    engine.digest_of(&asked.tag).await.map_err(told)?;
    let mounts = mounts(caller, &asked.mounts).await?;
    let (mount, rest) = below(&mounts, &asked.archive_path)?;
    let files = caller.room.files();
    let Mount::Folder { trusted, below: of, read_only: false, .. } = mount else {
        return Err(Refused::invalid("the archive must be below a mount that can be written"));
    };
    if *trusted != files.root() {
        return Err(Refused::invalid("the archive must be in files of the room"));
    }
    let path = FilePath::parse(&format!("{of}/{rest}"))?;
    let (room, who) = (Arc::clone(&caller.room), caller.guest.id.clone());
    start(caller, (asked.tag.clone(), asked.private), move |job| async move {
        let mut saved = engine.save(&[&asked.tag]).await.map_err(told)?;
        let begun = {
            let path = path.clone();
            super::storage::blocking(&files, move |files| files.begin(path, true)).await?
        };
        let mut file = tokio::fs::File::from_std(begun.file()?);
        let mut size: u64 = 0;
        while let Some(piece) = saved.next().await.transpose().map_err(told)? {
            size += piece.len() as u64;
            file.write_all(&piece).await.map_err(|error| failed(&error))?;
        }
        file.flush().await.map_err(|error| failed(&error))?;
        super::storage::blocking(&files, move |_| begun.publish(true)).await?;
        super::storage::tell(&room, UPDATED, path.text(), &who);
        job.say(&format!("saved {} with {size} bytes\n", asked.tag));
        Ok(())
    })
}

fn start<F>(
    caller: &Caller,
    (image, private): (String, bool),
    work: impl FnOnce(Arc<Job>) -> F,
) -> Result<Started, Refused>
where
    F: Future<Output = Result<(), Refused>> + Send + 'static,
{
    let ownership = Ownership::of(caller, private);
    caller.room.jobs.start(&caller.room, (image, ownership), work)
}

async fn mounts(caller: &Caller, specs: &[Value]) -> Result<Vec<Mount>, Refused> {
    let giving = Giving { room: &caller.room, caller: Some(caller) };
    let mut mounts = Vec::new();
    for spec in specs {
        mounts.extend(giving.mounts(spec).await?);
    }
    Ok(mounts)
}

/// A place in a mount of a folder.
fn place(mount: &Mount, rest: &str) -> (std::path::PathBuf, String) {
    match mount {
        Mount::Folder { trusted, below, .. } => {
            (trusted.clone(), format!("{below}/{rest}").trim_matches('/').to_owned())
        }
        // `below` finds folders alone.
        _ => (std::path::PathBuf::new(), rest.to_owned()),
    }
}

/// Refuses a name that is somebody else's.
async fn bring(room: &Room, engine: &Engine, image: &str, name: &str) -> Result<(), Refused> {
    match engine.digest_of(image).await {
        Err(Error::NoImage { .. }) => return Ok(()),
        Err(error) => return Err(told(error)),
        Ok(_) => {}
    }
    match is_own(room, name).await? {
        true => Ok(()),
        false => Err(refused(
            codes::ALREADY_EXISTS,
            format!("there is an image {name}, which this room did not bring; use another name"),
        )),
    }
}

async fn is_own(room: &Room, name: &str) -> Result<bool, Refused> {
    let own = room_images::is_of(&room.house.store, (&room.id, name)).await;
    own.map_err(|error| stored(&error))
}

async fn note(room: &Room, name: &str) -> Result<(), Refused> {
    let noted = room_images::note(&room.house.store, (&room.id, name)).await;
    noted.map_err(|error| stored(&error))
}

fn stored(error: &crate::platform::error::Refusal) -> Refused {
    refused(codes::OPERATION_FAILED, error.to_string())
}

fn credentials(known: Vec<Credential>) -> Vec<Credentials> {
    let of = |it: Credential| Credentials {
        registry: it.registry.unwrap_or_default(),
        username: it.username,
        password: it.password.0,
    };
    known.into_iter().map(of).collect()
}
