//! Random histories of a table, beside a plain model in memory. After each step the engine reads
//! what the model reads, and at the end it does so at every version.

use std::collections::BTreeMap;

use meshagent_tables::engine::{IndexKind, NewColumn};
use proptest::prelude::*;

use super::*;

/// What may happen.
#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<i64>),
    /// A writer begins and keeps its rows where nobody sees them.
    Begin(Vec<i64>),
    /// The oldest of them finishes.
    Finish,
    /// The oldest of them is dropped.
    Abandon,
    /// Ids, and whether all columns are given or only the text.
    Merge(Vec<(i64, bool)>),
    Update(Filter, i64),
    Increase(Filter),
    Delete(Filter),
    AddTyped,
    AddComputed,
    DropLast,
    Retype,
    Index(IndexKind),
    Optimize,
    Checkout(prop::sample::Index),
    Restore(prop::sample::Index),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    All,
    Is(i64),
    Below(i64),
}

impl Filter {
    fn text(self) -> String {
        match self {
            Self::All => "true".to_owned(),
            Self::Is(number) => format!("id = {number}"),
            Self::Below(number) => format!("id < {number}"),
        }
    }

    fn holds(self, id: i64) -> bool {
        match self {
            Self::All => true,
            Self::Is(number) => id == number,
            Self::Below(number) => id < number,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || prop::collection::vec(0_i64..6, 0..4);
    let filter = || {
        prop_oneof![
            Just(Filter::All),
            (0_i64..6).prop_map(Filter::Is),
            (0_i64..6).prop_map(Filter::Below)
        ]
    };
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        4 => ids().prop_map(Step::Insert),
        3 => ids().prop_map(Step::Begin),
        3 => Just(Step::Finish),
        1 => Just(Step::Abandon),
        3 => prop::collection::vec((0_i64..6, any::<bool>()), 0..4).prop_map(Step::Merge),
        2 => (filter(), 0_i64..9).prop_map(|(filter, value)| Step::Update(filter, value)),
        2 => filter().prop_map(Step::Increase),
        3 => filter().prop_map(Step::Delete),
        1 => Just(Step::AddTyped),
        1 => Just(Step::AddComputed),
        1 => Just(Step::DropLast),
        1 => Just(Step::Retype),
        1 => Just(Step::Index(IndexKind::Scalar)),
        1 => Just(Step::Index(IndexKind::FullText)),
        1 => Just(Step::Optimize),
        2 => index().prop_map(Step::Checkout),
        3 => index().prop_map(Step::Restore),
        1 => Just(Step::Reopen),
    ]
}

/// A row: where it is among all that were ever written, and its values.
type Placed = (u64, BTreeMap<String, Json>);

#[derive(Debug, Clone, Default)]
struct Moment {
    rows: Vec<Placed>,
    columns: Vec<String>,
}

#[derive(Default)]
struct Model {
    versions: BTreeMap<u64, Moment>,
    reading: Option<u64>,
    place: u64,
    names: u64,
}

impl Model {
    fn latest(&self) -> u64 {
        self.versions.last_key_value().map_or(0, |it| *it.0)
    }

    fn now(&self) -> Moment {
        self.versions[&self.latest()].clone()
    }

    fn shown(&self) -> &Moment {
        &self.versions[&self.reading.unwrap_or(self.latest())]
    }

    fn placed(&mut self, rows: impl IntoIterator<Item = BTreeMap<String, Json>>) -> Vec<Placed> {
        let place = |row| {
            self.place += 1;
            (self.place, row)
        };
        rows.into_iter().map(place).collect()
    }

    fn commit(&mut self, version: u64, mut moment: Moment) {
        assert!(version > self.latest());
        moment.rows.sort_by_key(|row| row.0);
        self.versions.insert(version, moment);
    }

    fn row(&mut self, columns: &[String], id: i64, wide: bool) -> BTreeMap<String, Json> {
        self.names += 1;
        let text = format!("row{}", self.names);
        // A megabyte makes a writer keep its rows in the file.
        let text = if wide { text + &" x".repeat(1 << 19) } else { text };
        let value = |name: &String| match name.as_str() {
            "id" => (name.clone(), json!(id)),
            "text" => (name.clone(), json!(text)),
            _ => (name.clone(), Json::Null),
        };
        columns.iter().map(value).collect()
    }
}

/// What becomes of a number.
type Change = Box<dyn Fn(i64) -> i64>;

struct Slow {
    writer: Box<dyn Writer>,
    rows: Vec<Placed>,
    columns: Vec<String>,
}

fn as_json(rows: &[Placed]) -> Json {
    let row = |row: &Placed| Json::Object(row.1.clone().into_iter().collect());
    rows.iter().map(row).collect()
}

/// Without regard to the order of columns, which the model does not know after all steps.
fn plain(rows: &Json) -> Vec<BTreeMap<String, Json>> {
    serde_json::from_value(rows.clone()).unwrap()
}

fn run(steps: Vec<Step>) {
    let mut room = Room::new();
    let t = table("t");
    room.create("t", json!({"id": "int", "text": "text"}), json!([]));
    let columns = vec!["id".to_owned(), "text".to_owned()];
    let mut model = Model::default();
    model.versions.insert(1, Moment { rows: Vec::new(), columns });
    let mut slow: Vec<Slow> = Vec::new();
    for step in steps {
        // What writes is refused while an earlier version is read.
        let earlier = model.reading.is_some();
        let state = |error: meshagent_tables::Error| assert_eq!(error.reason, Reason::State);
        let mut now = model.now();
        let latest = |room: &Room| room.tables.describe(&t).unwrap().latest;
        match step {
            Step::Insert(_) | Step::Begin(_) | Step::Merge(_) if earlier => {
                state(room.tables.insert(&t).err().unwrap());
            }
            Step::Insert(ids) => {
                let rows = ids.into_iter().map(|id| model.row(&now.columns, id, false));
                let rows: Vec<_> = rows.collect();
                let version = room.insert("t", json!(rows)).unwrap();
                now.rows.extend(model.placed(rows));
                model.commit(version, now);
            }
            Step::Begin(ids) => {
                let mut writer = room.tables.insert(&t).unwrap();
                let rows = ids.into_iter().map(|id| model.row(&now.columns, id, true));
                let rows: Vec<_> = rows.collect();
                for row in &rows {
                    writer.write(rows_of(&json!([row]))).unwrap();
                }
                let rows = model.placed(rows);
                slow.push(Slow { writer, rows, columns: now.columns });
            }
            Step::Finish | Step::Abandon if slow.is_empty() => {}
            Step::Abandon => drop(slow.remove(0)),
            Step::Finish => {
                let Slow { writer, rows, columns } = slow.remove(0);
                match writer.finish() {
                    Ok(written) => {
                        assert_eq!(columns, now.columns);
                        now.rows.extend(rows);
                        model.commit(written.version, now);
                    }
                    Err(error) if earlier && error.reason == Reason::State => {}
                    Err(error) => assert_eq!(error.reason, Reason::Conflict, "{error}"),
                }
            }
            Step::Merge(ids) => {
                let row = |(id, all): (i64, bool)| {
                    let mut row = model.row(&now.columns, id, false);
                    row.retain(|name, _| all || name == "id" || name == "text");
                    row
                };
                let given: Vec<_> = ids.into_iter().map(row).collect();
                let version = room.merge("t", "id", json!(given)).unwrap();
                // The last row of each id counts.
                let mut last: BTreeMap<i64, usize> = BTreeMap::new();
                last.extend(
                    given.iter().zip(0..).map(|(row, at)| (row["id"].as_i64().unwrap(), at)),
                );
                let of = |row: &BTreeMap<String, Json>| last.get(&row["id"].as_i64().unwrap());
                let (hits, rest): (Vec<_>, Vec<_>) =
                    now.rows.into_iter().partition(|row| of(&row.1).is_some());
                now.rows = rest;
                let there: Vec<_> = hits.iter().map(|row| row.1["id"].clone()).collect();
                let changed = hits.into_iter().map(|(_, mut row)| {
                    let gets = given[last[&row["id"].as_i64().unwrap()]].clone();
                    row.extend(gets);
                    row
                });
                let new = given
                    .iter()
                    .enumerate()
                    .filter(|(at, row)| of(row) == Some(at) && !there.contains(&row["id"]));
                let whole = |(_, row): (usize, &BTreeMap<String, Json>)| {
                    let value = |name: &String| row.get(name).cloned().unwrap_or_default();
                    now.columns.iter().map(|name| (name.clone(), value(name))).collect()
                };
                let after: Vec<_> = changed.chain(new.map(whole)).collect();
                now.rows.extend(model.placed(after));
                model.commit(version, now);
            }
            Step::Update(filter, _) | Step::Increase(filter) | Step::Delete(filter) if earlier => {
                state(room.tables.delete(&t, &filter.text()).unwrap_err());
            }
            Step::Update(filter, _) | Step::Increase(filter) | Step::Delete(filter) => {
                let hit = |row: &Placed| filter.holds(row.1["id"].as_i64().unwrap());
                let (hits, rest): (Vec<_>, Vec<_>) = now.rows.into_iter().partition(hit);
                now.rows = rest;
                let (change, count): (Option<Change>, _) = match step {
                    Step::Update(_, value) => {
                        let values = vec![("id".to_owned(), Value::Int(value))];
                        let count = room.tables.update(&t, &filter.text(), values, Vec::new());
                        (Some(Box::new(move |_| value)), count)
                    }
                    Step::Increase(_) => {
                        let expressions = vec![("id".to_owned(), "id + 1".to_owned())];
                        let count = room.tables.update(&t, &filter.text(), Vec::new(), expressions);
                        (Some(Box::new(|id| id + 1)), count)
                    }
                    _ => (None, room.tables.delete(&t, &filter.text())),
                };
                assert_eq!(count.unwrap(), u64::try_from(hits.len()).unwrap());
                if let Some(change) = change {
                    let changed = hits.into_iter().map(|(_, mut row)| {
                        let id = change(row["id"].as_i64().unwrap());
                        row.insert("id".to_owned(), json!(id));
                        row
                    });
                    let changed: Vec<_> = changed.collect();
                    now.rows.extend(model.placed(changed));
                }
                model.commit(latest(&room), now);
            }
            Step::AddTyped | Step::AddComputed | Step::DropLast | Step::Retype if earlier => {
                state(room.tables.drop_columns(&t, &["id".to_owned()]).unwrap_err());
            }
            Step::AddTyped | Step::AddComputed => {
                model.names += 1;
                let name = format!("column{}", model.names);
                let computed = matches!(step, Step::AddComputed);
                let new = match computed {
                    true => NewColumn::Computed("id * 2".to_owned()),
                    false => NewColumn::Typed(typed(&json!("text"))),
                };
                room.tables.add_columns(&t, vec![(name.clone(), new)]).unwrap();
                for (_, row) in &mut now.rows {
                    let double = json!(row["id"].as_i64().unwrap() * 2);
                    row.insert(name.clone(), if computed { double } else { Json::Null });
                }
                now.columns.push(name);
                model.commit(latest(&room), now);
            }
            Step::DropLast if now.columns.len() > 2 => {
                let name = now.columns.pop().unwrap();
                room.tables.drop_columns(&t, std::slice::from_ref(&name)).unwrap();
                for (_, row) in &mut now.rows {
                    row.remove(&name);
                }
                model.commit(latest(&room), now);
            }
            Step::Retype if now.columns.len() > 2 => {
                let name = now.columns[2].clone();
                let fields = vec![Field { name: name.clone(), data_type: typed(&json!("text")) }];
                room.tables.alter_columns(&t, fields).unwrap();
                for (_, row) in &mut now.rows {
                    if let Some(number) = row[&name].as_i64() {
                        row.insert(name.clone(), json!(number.to_string()));
                    }
                }
                model.commit(latest(&room), now);
            }
            Step::DropLast | Step::Retype => {}
            Step::Index(kind) => {
                let name = if kind == IndexKind::Scalar { "id" } else { "text" };
                match room.tables.create_index(&t, name, kind, true) {
                    Ok(()) => assert!(!earlier),
                    Err(error) => assert!(earlier && error.reason == Reason::State, "{error}"),
                }
            }
            Step::Optimize => room.tables.optimize(&t).unwrap(),
            Step::Checkout(index) => {
                let version = *index.get(&model.versions.keys().collect::<Vec<_>>());
                room.tables.checkout(&t, *version).unwrap();
                model.reading = Some(*version).filter(|version| *version != model.latest());
            }
            Step::Restore(index) => {
                let version = **index.get(&model.versions.keys().collect::<Vec<_>>());
                room.tables.restore(&t, version).unwrap();
                let alive: Vec<u64> = now.rows.iter().map(|row| row.0).collect();
                let mut then = model.versions[&version].clone();
                let gone = then.rows.iter().position(|row| !alive.contains(&row.0));
                if let Some(gone) = gone {
                    let copied = then.rows.split_off(gone).into_iter().map(|row| row.1);
                    let copied: Vec<_> = copied.collect();
                    then.rows.extend(model.placed(copied));
                }
                model.commit(latest(&room), then);
                model.reading = None;
            }
            Step::Reopen => {
                slow.clear();
                room = room.again();
            }
        }
        assert_eq!(plain(&room.all("t")), plain(&as_json(&model.shown().rows)));
    }
    drop(slow);
    let versions: Vec<u64> = room.versions("t").into_iter().map(|it| it.0).collect();
    assert_eq!(versions, model.versions.keys().copied().collect::<Vec<_>>());
    let indexed = room.tables.indexes(&t).unwrap().iter().any(|it| it.kind == IndexKind::FullText);
    for (version, moment) in &model.versions {
        room.tables.checkout(&t, *version).unwrap();
        assert_eq!(plain(&room.all("t")), plain(&as_json(&moment.rows)), "version {version}");
        let names: Vec<String> =
            room.tables.describe(&t).unwrap().fields.into_iter().map(|it| it.name).collect();
        assert_eq!(names, moment.columns, "version {version}");
        // The index of words knows the rows of each version, and no others.
        for (_, row) in moment.rows.iter().filter(|_| indexed) {
            let word = row["text"].as_str().unwrap().split(' ').next().unwrap();
            let search =
                Search { table: t.clone(), text: Some(word.to_owned()), ..Search::default() };
            let same = moment.rows.iter().filter(|other| other.1["text"] == row["text"]).count();
            assert_eq!(room.tables.count(&search).unwrap(), u64::try_from(same).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_version_shows_what_a_plain_model_shows(steps in prop::collection::vec(step(), 1..30)) {
        run(steps);
    }
}
