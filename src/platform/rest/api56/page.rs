//! The pages of lists. Those of a project are walked by tokens, those of one room by offsets.
//!
//! A token says behind which object the next page begins, so objects that come or go meanwhile
//! neither repeat nor hide others. It is opaque to clients, and grants nothing: whoever changes one
//! begins elsewhere in a list that they may read anyway.

use std::pin::pin;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::super::plain::{self, Resource, Stored};
use super::{Refusal, Result};
use crate::platform::App;
use crate::platform::auth::Caller;
use crate::platform::exchange::{Answer, Asked, Listing};
use crate::platform::objects::rooms::Room;
use crate::platform::store::select;

/// How many objects a page has, unless fewer are asked for. The public SDK asks for as many.
const USUAL: i64 = 100;

/// What of a list the caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// What the caller works with.
    My,
    /// Everything.
    All,
}

/// The query for a page of a list that is walked by tokens.
#[derive(Debug, Default, Deserialize)]
pub struct Tokens {
    /// How many objects the page may have.
    pub page_size: Option<i64>,
    /// What the page before gave.
    pub continuation_token: Option<String>,
    /// A part of the name.
    pub filter: Option<String>,
    /// Which objects.
    pub view: Option<View>,
}

impl Tokens {
    /// How many objects the page has at most. More than usual is not refused, since the caller sees
    /// that the list goes on.
    pub fn size(&self, app: &App) -> Result<i64> {
        sized("page_size", self.page_size, app)
    }

    /// Where in a list the page begins: behind this.
    pub fn after(&self, list: &str) -> Result<Option<String>> {
        let Some(token) = &self.continuation_token else { return Ok(None) };
        let refused = || Refusal::field("continuation_token", "is not one of this list");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let text = String::from_utf8(bytes).map_err(|_| refused())?;
        let (of, position) = text.split_once(' ').ok_or_else(refused)?;
        if of != list {
            return Err(refused());
        }
        Ok(Some(position.to_owned()))
    }

    /// The same where a list is in the order of creation.
    pub fn after_seq(&self, list: &str) -> Result<Option<i64>> {
        let refused = |_| Refusal::field("continuation_token", "is not one of this list");
        self.after(list)?.map(|text| text.parse().map_err(refused)).transpose()
    }
}

/// The query for a page of a list that is walked by offsets.
#[derive(Debug, Deserialize)]
pub struct Offsets {
    count: Option<i64>,
    offset: Option<i64>,
    filter: Option<String>,
}

fn sized(field: &str, asked: Option<i64>, app: &App) -> Result<i64> {
    match asked.unwrap_or(USUAL) {
        size @ 1.. => Ok(size.min(app.page_cap(USUAL))),
        _ => Err(Refusal::field(field, "must be at least 1")),
    }
}

/// The page of a list: the first `size` of the rows, and a token if there are more. `position` says
/// where a row stands.
pub async fn of<R>(
    app: &App,
    list: (&str, i64),
    rows: impl Stream<Item = std::result::Result<R, sqlx::Error>>,
    position: impl Fn(&R) -> String,
    item: impl Fn(&R) -> Result<Value>,
) -> Result<Answer> {
    with(app, list, rows, position, item, &[]).await
}

/// The same, with other fields beside the list.
pub async fn with<R>(
    app: &App,
    (name, size): (&str, i64),
    rows: impl Stream<Item = std::result::Result<R, sqlx::Error>>,
    position: impl Fn(&R) -> String,
    item: impl Fn(&R) -> Result<Value>,
    beside: &[(&str, Value)],
) -> Result<Answer> {
    let mut list = Listing::new(name);
    let mut rows = pin!(rows);
    let (mut last, mut token) = (String::new(), Value::Null);
    for number in 0.. {
        let Some(row) = rows.try_next().await? else { break };
        if number == size {
            token = json!(URL_SAFE_NO_PAD.encode(format!("{name} {last}")));
            break;
        }
        list.push(app, item(&row)?).await?;
        last = position(&row);
    }
    let beside: Vec<_> = beside.iter().cloned().chain([("continuation_token", token)]).collect();
    list.end_with(app, &beside).await?;
    Ok(Answer::listed(list))
}

/// A resource whose lists are filtered.
pub trait Filtered: Resource {
    /// What a filter is looked for in, as SQL.
    const FILTER: &'static str;
}

/// A row with its place in the order of creation.
pub struct Placed<T> {
    /// The row.
    pub stored: Stored<T>,
    /// Its place.
    pub seq: i64,
}

impl<'r, T: FromRow<'r, SqliteRow>> FromRow<'r, SqliteRow> for Placed<T> {
    fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
        Ok(Self { seq: row.try_get("seq")?, stored: Stored::from_row(row)? })
    }
}

/// The condition for a filter, which is the given parameter.
fn fits<T: Filtered>(parameter: usize) -> String {
    let of = T::FILTER;
    format!("(${parameter} IS NULL OR instr(lower({of}), lower(${parameter})) > 0)")
}

/// Lists those of the project, in the order in which they were created.
pub async fn list<T: Filtered>(
    State(app): State<App>,
    caller: Caller,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    let (table, among, size) = (T::TABLE, T::AMONG, tokens.size(&app)?);
    let rows = plain::question::<T>(&format!(
        "{table}.project_id = $1{among} AND ($2 IS NULL OR {table}.seq > $2) AND {} \
         ORDER BY {table}.seq LIMIT $4",
        fits::<T>(3),
    ));
    let rows = sqlx::query_as(rows)
        .bind(&caller.project)
        .bind(tokens.after_seq(T::LIST)?)
        .bind(&tokens.filter)
        .bind(size + 1)
        .fetch(app.store().reads());
    let position = |row: &Placed<T>| row.seq.to_string();
    of(&app, (T::LIST, size), rows, position, |row| row.stored.item()).await
}

/// Lists those that name a room.
pub async fn of_room<T: Filtered>(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
    Asked(offsets): Asked<Offsets>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let room = Room::named(reads, &caller.project, &room).await?;
    let count = sized("count", offsets.count, &app)?;
    let offset = offsets.offset.unwrap_or(0);
    if offset < 0 {
        return Err(Refusal::field("offset", "must not be negative"));
    }
    let among = format!("rooms.id = $1 AND {}", fits::<T>(2));
    let total = plain::question::<T>(&among);
    let total = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM ({})", total.0));
    let total = select(total).bind(&room.id).bind(&offsets.filter).find(reads).await?;
    let total = total.map_or(0, |(total,): (i64,)| total);
    let rows = format!("{among} ORDER BY {}.seq LIMIT $3 OFFSET $4", T::TABLE);
    let mut rows = sqlx::query_as(plain::question::<T>(&rows))
        .bind(&room.id)
        .bind(&offsets.filter)
        .bind(count)
        .bind(offset)
        .fetch(reads);
    let mut list = Listing::new(T::LIST);
    while let Some(row) = rows.try_next().await? {
        let row: Stored<T> = row;
        list.push(&app, row.item()?).await?;
    }
    list.end_with(&app, &[("total", json!(total))]).await?;
    Ok(Answer::listed(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_list() {
        let with = |token: &str| Tokens {
            continuation_token: Some(token.to_owned()),
            ..Tokens::default()
        };
        let token = URL_SAFE_NO_PAD.encode("rooms a room");
        assert_eq!(with(&token).after("rooms").unwrap().as_deref(), Some("a room"));
        assert_eq!(Tokens::default().after("rooms").unwrap(), None);
        for wrong in [&token, "", "!", "cm9vbXM", &URL_SAFE_NO_PAD.encode("tasks x")] {
            let refused = with(wrong).after_seq("tasks");
            assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{wrong}");
        }
    }
}
