//! Lists whose objects and pages are others than the platform's: such a list is read whole, gone
//! over, and divided again in the form of the API that was asked.

use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::RequestBuilder;
use serde_json::{Map, Value, json};

use super::Fault;
use super::replies::{Reply, fetch, list_in};

/// The field, and the parameter, of 0.56 that says where a page begins.
const TOKEN: &str = "continuation_token";

/// How the tokens begin that are made here: before the objects that follow the number, and before
/// a page without any.
const AT: &str = "at-";
const EMPTY: &str = "empty-";

/// A request for a list, or for a page of one.
pub struct Asked<'a> {
    /// Its path and query.
    pub target: &'a str,
    /// Whether it is in the API of 0.56, where any list may be divided.
    pub is_new: bool,
    /// What goes wrong with it.
    pub faults: &'a [Fault],
    /// The same for all requests.
    pub seed: u64,
}

/// A list of the platform.
struct Whole {
    envelope: String,
    items: Vec<Value>,
    /// Whether it came in pages, or said that it did not.
    has_token: bool,
}

/// A page, by where it begins and how many objects it may have.
struct Page {
    from: usize,
    size: usize,
    /// The token that it was asked for by.
    token: Option<String>,
}

/// The value of a parameter.
fn parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The same request with other values of parameters; those without a value are left out.
fn with(target: &str, change: impl Fn(&str, &str) -> Option<String>) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        change(name, value).map(|value| format!("{name}={value}"))
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn number(target: &str, name: &str) -> Option<usize> {
    parameter(target, name)?.parse().ok()
}

/// Whether it is a later page of a list.
pub fn is_later_page(target: &str) -> bool {
    number(target, "offset").is_some_and(|offset| offset > 0) || parameter(target, TOKEN).is_some()
}

impl Asked<'_> {
    /// The answer, if the list is another one than the platform's.
    pub async fn answer(
        &self,
        ask: impl Fn(&str) -> RequestBuilder,
    ) -> std::io::Result<Option<Reply>> {
        let token = parameter(self.target, TOKEN);
        let is_ours = token.is_some_and(|token| token.starts_with(AT) || token.starts_with(EMPTY));
        if !is_ours && !self.faults.iter().any(is_of_lists) {
            return Ok(None);
        }
        let first = with(self.target, |name, value| match name {
            TOKEN => None,
            "limit" => Some("1000000".to_owned()),
            "offset" => Some("0".to_owned()),
            _ => Some(value.to_owned()),
        });
        let (mut reply, whole) = gather(&ask, first.clone()).await?;
        let Some(mut whole) = whole else { return Ok(Some(reply)) };
        let from = match token {
            None => number(self.target, "offset").unwrap_or_default(),
            Some(token) if is_ours => {
                let (_, from) = token.rsplit_once('-').expect("a number");
                from.parse().unwrap_or_default()
            }
            // What follows the token of the platform is what it has behind it.
            Some(_) => {
                let (_, rest) = gather(&ask, self.target.to_owned()).await?;
                whole.items.len().saturating_sub(rest.map_or(0, |rest| rest.items.len()))
            }
        };
        // Without a project there is nothing to be wrong, and one that is asked for by its id is not
        // listed.
        let is_of_projects =
            self.target.split('?').next().is_some_and(|path| path.ends_with("/projects"));
        if !is_of_projects && parameter(self.target, "task_id").is_none() {
            self.faults.iter().for_each(|fault| edit(fault, &mut whole.items, self.seed));
        }
        reply.body = self.divided(whole, from).to_string().into_bytes();
        Ok(Some(reply))
    }

    /// Which page is asked for, where the one that was asked for begins here.
    fn page(&self, from: usize) -> Page {
        let asked = number(self.target, "limit").or_else(|| number(self.target, "page_size"));
        let token = parameter(self.target, TOKEN).map(str::to_owned);
        let mut page = Page { from, size: asked.unwrap_or(usize::MAX), token };
        let is_divided = self.is_new || asked.is_some();
        for fault in self.faults {
            match fault {
                Fault::SmallPages(largest) if is_divided => page.size = page.size.min(*largest),
                Fault::FirstRemoved if page.from > 0 => page.from += 1,
                Fault::FirstInserted if page.from > 0 => page.from -= 1,
                _ => {}
            }
        }
        page
    }

    /// The page of the list that is asked for, in the form of its API.
    fn divided(&self, Whole { envelope, items, has_token }: Whole, from: usize) -> Value {
        let has = |wanted: fn(&Fault) -> bool| self.faults.iter().any(wanted);
        let page = self.page(from);
        let begin = page.from.min(items.len());
        let is_empty = page.token.as_ref().is_some_and(|token| token.starts_with(EMPTY));
        let end = if is_empty { begin } else { begin.saturating_add(page.size).min(items.len()) };
        let mut answer = Map::from_iter([(envelope, json!(items[begin..end]))]);
        if !self.is_new {
            return answer.into();
        }
        let follows = end < items.len();
        let pause = if has(|it| matches!(it, Fault::EmptyPages)) && !is_empty { EMPTY } else { AT };
        let next = follows.then(|| format!("{pause}{end}"));
        let next = match () {
            () if has(|it| matches!(it, Fault::TokenStays)) => {
                page.token.or(next).or_else(|| Some(format!("{AT}{end}")))
            }
            () if has(|it| matches!(it, Fault::TokenComesBack)) => {
                next.or_else(|| Some(format!("{AT}0")))
            }
            () => next,
        };
        if has_token || next.is_some() || page.size != usize::MAX {
            answer.insert(TOKEN.to_owned(), next.into());
        }
        answer.into()
    }
}

/// Whether a fault is about lists as a whole.
fn is_of_lists(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Reordered
            | Fault::SmallPages(_)
            | Fault::FirstRemoved
            | Fault::FirstInserted
            | Fault::Cut(_)
            | Fault::Filtered
            | Fault::Doubled
            | Fault::EmptyPages
            | Fault::TokenStays
            | Fault::TokenComesBack
    )
}

/// Reads a list to its end; nothing where the answer is no list.
async fn gather(
    ask: impl Fn(&str) -> RequestBuilder,
    mut target: String,
) -> std::io::Result<(Reply, Option<Whole>)> {
    let mut all = Vec::new();
    loop {
        let reply = fetch(ask(&target)).await?;
        let Some((envelope, mut answer)) = list_in(&reply) else { return Ok((reply, None)) };
        if let Some(Value::Array(items)) = answer.get_mut(&envelope).map(Value::take) {
            all.extend(items);
        }
        let has_token = answer.contains_key(TOKEN);
        let Some(token) = answer.get(TOKEN).and_then(Value::as_str) else {
            return Ok((reply, Some(Whole { envelope, items: all, has_token })));
        };
        let mark = if target.contains('?') { '&' } else { '?' };
        let rest = with(&target, |name, value| (name != TOKEN).then(|| value.to_owned()));
        target = format!("{rest}{mark}{TOKEN}={token}");
    }
}

/// Does to a list what a fault says.
fn edit(fault: &Fault, items: &mut Vec<Value>, seed: u64) {
    match fault {
        // The order is another one, but one and the same on all pages.
        Fault::Reordered => fastrand::Rng::with_seed(seed).shuffle(items),
        Fault::Cut(length) => items.truncate(*length),
        Fault::Filtered => items.retain(|item| is_shown(item, seed)),
        Fault::Doubled => items.extend(items.first().cloned()),
        _ => {}
    }
}

/// Whether an object is in filtered lists: the same ones always are, and two of three.
fn is_shown(item: &Value, seed: u64) -> bool {
    let named = ["/id", "/address", "/domain", "/spec/domain", "/name"];
    let name = named.iter().find_map(|field| item.pointer(field)?.as_str());
    let mut hasher = DefaultHasher::new();
    (name, seed).hash(&mut hasher);
    !hasher.finish().is_multiple_of(3)
}
