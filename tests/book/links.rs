//! Links of the pages lead to what is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::pages;

/// The pages for people who have the source open, which may link to it.
const OF_THE_SOURCE: [&str; 2] = ["docs/adding-a-kind.md", "docs/architecture.md"];

/// What links and headings a text has.
#[derive(Default)]
struct Outline {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

/// The anchor of a heading, as Git hosts and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                outline.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&heading.take().unwrap_or_default());
                // Of headings that are called the same, the later ones have a number.
                let numbered = (1..).map(|number| format!("{name}-{number}"));
                let mut names = std::iter::once(name.clone()).chain(numbered);
                outline.anchors.extend(names.find(|name| !outline.anchors.contains(name)));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    outline
}

/// A path without `..` in it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads outside", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

/// What is wrong with a link of a page.
fn fault(page: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(page).parent().expect("a folder");
    let target = if file.is_empty() { PathBuf::from(page) } else { plain(&folder.join(file)) };
    let name = target.display().to_string();
    if !pages::path(&name).exists() {
        return Some(format!("{page}: {link} leads nowhere"));
    }
    let leaves_the_book = page.starts_with("docs/") && !name.starts_with("docs/");
    if leaves_the_book && !OF_THE_SOURCE.contains(&page) {
        return Some(format!("{page}: {link} leads out of the book"));
    }
    let is_there = anchor.is_empty() || outline(&pages::text(&name)).anchors.contains(anchor);
    (!is_there).then(|| format!("{page}: {link}: {name} has no such heading"))
}

#[test]
fn every_link_leads_to_what_is_there() {
    let pages = super::every_page();
    let faults = pages.iter().flat_map(|page| {
        let links = outline(&pages::text(page)).links;
        links.into_iter().filter_map(move |link| fault(page, &link))
    });
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        fault("README.md", "docs/nowhere.md").as_deref(),
        Some("README.md: docs/nowhere.md leads nowhere")
    );
    assert!(fault("docs/sets.md", "drift.md#nothing").is_some());
    assert!(fault("docs/sets.md", "../README.md").is_some());
}

#[test]
fn the_table_of_contents_names_every_page_once() {
    let links = outline(&pages::text("docs/SUMMARY.md")).links;
    let named: BTreeSet<String> = links.iter().map(|link| format!("docs/{link}")).collect();
    assert_eq!(named.len(), links.len(), "a page is named twice");
    let is_page = |page: &String| page.starts_with("docs/") && page != "docs/SUMMARY.md";
    let written: BTreeSet<String> = super::every_page().into_iter().filter(is_page).collect();
    assert_eq!(named, written);
}

#[test]
fn anchors_are_those_of_git_hosts() {
    let page = "# `a.b`: One, two\n## Same\n## Same\n```sh\n# no heading\n```\n";
    let expected = ["ab-one-two", "same", "same-1"].map(str::to_owned);
    assert_eq!(outline(page).anchors, BTreeSet::from(expected));
}
