//! Images are built, saved, loaded, pushed and pulled, and what fails says so.

use std::os::unix::fs::symlink;
use std::path::Path;

use meshagent_containers::{
    Build, Command, Credentials, Engine, Error, Limits, Progress, Result, Spec, Step,
};

use crate::engine_here::IMAGE;
use crate::{here, registry, said};

async fn built(
    engine: &Engine,
    folder: &Path,
    below: &str,
    dockerfile: Option<&str>,
) -> Result<Step> {
    let build = Build {
        tag: "localhost/built:1".to_owned(),
        dockerfile: dockerfile.map(str::to_owned),
        limits: Limits::default(),
    };
    engine.build(folder, below, &build, &[]).await?.done().await
}

async fn names(engine: &Engine) -> Vec<String> {
    let mut names: Vec<String> =
        engine.images().await.expect("images").into_iter().flat_map(|it| it.names).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_of_a_folder_without_what_is_left_out() {
    let Some(here) = here().await else { return };
    let folder = here.folder().join("context");
    std::fs::create_dir_all(folder.join("app/data")).expect("folders");
    let write = |path: &str, text: &str| {
        std::fs::write(folder.join("app").join(path), text).expect("a file")
    };
    write(
        "Dockerfile",
        &format!(
            "FROM {IMAGE}\nCOPY . /app\nRUN echo ran > /ran\nCMD [\"sh\", \"-c\", \"cat /ran /app/data/kept; ls /app /app/data\"]\n"
        ),
    );
    write(".dockerignore", "data/*\n!data/kept\nDockerfile\n");
    write("data/kept", "kept\n");
    write("data/secret", "secret\n");
    symlink("/etc/passwd", folder.join("app/link")).expect("a link");
    let step = built(&here.engine, &folder, "app", None).await.expect("an image");
    let digest = here.engine.digest_of("localhost/built:1").await.expect("a digest");
    assert_eq!(step.digest, Some(digest));
    let spec = Spec { image: "localhost/built:1".to_owned(), ..Spec::default() };
    let out = said(&here.engine, &spec).await;
    assert!(out.starts_with("ran\nkept\n/app:\n"), "{out}");
    assert!(out.contains("link") && !out.contains("secret"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_says_what_its_step_said() {
    let Some(here) = here().await else { return };
    let folder = here.folder().join("context");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = format!("FROM {IMAGE}\nRUN echo before; false\n");
    std::fs::write(folder.join("Dockerfile"), file).expect("a file");
    let build =
        Build { tag: "localhost/built:1".to_owned(), dockerfile: None, limits: Limits::default() };
    let mut progress = here.engine.build(&folder, "", &build, &[]).await.expect("it begins");
    let mut texts = String::new();
    let error = loop {
        match progress.next().await.expect("an error before the end") {
            Ok(step) => texts.push_str(&step.text),
            Err(error) => break error,
        }
    };
    assert!(texts.contains("before\n"), "{texts}");
    assert!(
        matches!(&error, Error::Refused { text, .. } if text.contains("exit status 1")),
        "{error}"
    );
    assert!(progress.next().await.is_none());
    let none = built(&here.engine, &folder, "", Some("none")).await;
    assert!(matches!(none, Err(Error::Refused { .. })), "{none:?}");
    for outside in ["../Dockerfile", "/etc/passwd"] {
        let refused = built(&here.engine, &folder, "", Some(outside)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    symlink("/etc", folder.join("link")).expect("a link");
    let refused = built(&here.engine, &folder, "link", None).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_saved_and_loaded_with_its_name() {
    let Some(here) = here().await else { return };
    let digest = here.engine.digest_of(IMAGE).await.expect("a digest");
    let mut saved = here.engine.save(&[IMAGE]).await.expect("an archive");
    let mut archive = Vec::new();
    while let Some(piece) = saved.next().await {
        archive.extend_from_slice(&piece.expect("a piece"));
    }
    here.engine.remove_image(IMAGE).await.expect("it is removed");
    assert!(names(&here.engine).await.is_empty());
    let gone = here.engine.remove_image(IMAGE).await;
    assert_eq!(gone, Err(Error::NoImage { image: IMAGE.to_owned() }));
    assert!(here.engine.save(&[IMAGE]).await.is_err());
    let nonsense = here.engine.load(&b"nonsense"[..]).await;
    assert!(matches!(nonsense, Err(Error::Refused { .. })), "{nonsense:?}");
    let loaded = here.engine.load(std::io::Cursor::new(archive)).await.expect("it begins");
    let said = loaded.done().await.expect("it is loaded").text;
    assert!(said.contains(IMAGE), "{said}");
    assert_eq!(names(&here.engine).await, [IMAGE]);
    assert_eq!(here.engine.digest_of(IMAGE).await, Ok(digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_and_pulled_with_the_password_of_its_registry() {
    let Some(here) = here().await else { return };
    let registry = registry::start().await;
    let name = format!("{registry}/some/where:2");
    let known = |registry: &str, password: &str| {
        let (registry, username) = (registry.to_owned(), "me".to_owned());
        vec![Credentials { registry, username, password: password.to_owned().into() }]
    };
    let tagged = here.podman().args(["tag", IMAGE, &name]).status().expect("podman runs");
    assert!(tagged.success());
    let digest = here.engine.digest_of(&name).await.expect("a digest");
    let end = async |begun: Result<Progress>| begun?.done().await.map(drop);
    for wrong in [known(&registry, "wrong"), known("ghcr.io", "secret"), vec![]] {
        let refused = end(here.engine.push(&name, &wrong).await).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    let right = known(&registry, "secret");
    end(here.engine.push(&name, &right).await).await.expect("it is pushed");
    for name in [&name, IMAGE] {
        here.engine.remove_image(name).await.expect("it is removed");
    }
    let refused = end(here.engine.pull(&name, &[]).await).await;
    let Err(error @ Error::Refused { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains(&name), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    end(here.engine.pull(&name, &right).await).await.expect("it is pulled");
    assert_eq!(here.engine.digest_of(&name).await, Ok(digest));
    let none = format!("{registry}/some/where:none");
    let missing = end(here.engine.pull(&none, &right).await).await;
    assert!(missing.is_err(), "{missing:?}");
    assert_eq!(names(&here.engine).await, [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_container_is_of_is_not_removed() {
    let Some(here) = here().await else { return };
    let command = Command::Words(["sleep", "100"].map(str::to_owned).to_vec());
    let spec = Spec { image: IMAGE.to_owned(), command, ..Spec::default() };
    let id = here.engine.run(&spec).await.expect("a container");
    let refused = here.engine.remove_image(IMAGE).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let container = here.engine.inspect(&id).await.expect("a container");
    assert_eq!(Ok(container.image_digest), here.engine.digest_of(IMAGE).await);
}
