//! Tables. How they are kept is in the crate `meshagent-tables`; here is who asks for what, and how
//! rows come and go.

use std::sync::Arc;

use meshagent_tables::engine::{
    Engine, IndexKind, Mode as Making, NewColumn as Adding, NewTable, Rows, Search as Sought,
    TableName, Writer,
};
use meshagent_tables::{Error, Value as Held};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::platform::live::calls::{Caller, Stream};
use crate::platform::live::databases::{Access, Parked, ended};
use crate::room::content::{Content, Refused};
use crate::room::database::{
    AddColumns, AlterColumns, BATCH, Changed, Checkout, Count, Counted, CreateFullTextSearchIndex,
    CreateScalarIndex, CreateTable, CreateVectorIndex, Delete, DropColumns, DropIndex, DropTable,
    Index, Indexes, Insert, Inspect, ListIndexes, ListTables, ListVersions, Merge, Mode, Namespace,
    NewIndex, Optimize, Restore, RowStream, Schema, Search, Sql, Tables, Update, Version, Versions,
    batch_part, is_pull, pull, rows_of,
};

fn databases(caller: &Caller) -> Access {
    Access::of(caller)
}

fn table(name: String, namespace: Namespace) -> TableName {
    TableName { namespace: namespace.unwrap_or_default(), name }
}

/// A version as the engine counts them. Clients may write any number.
fn version(number: i64) -> Result<u64, Refused> {
    u64::try_from(number).map_err(|_| Refused::invalid(format!("{number} is no version")))
}

/// Lists the tables of a namespace.
pub async fn list_tables(caller: &Caller, asked: ListTables) -> Result<Tables, Refused> {
    let namespace = asked.namespace.unwrap_or_default();
    let tables = databases(caller).on_tables(move |it| it.list(&namespace)).await?;
    Ok(Tables { tables })
}

/// Says what columns a table has.
pub async fn inspect(caller: &Caller, asked: Inspect) -> Result<Schema, Refused> {
    let table = table(asked.table, asked.namespace);
    let told = databases(caller).on_tables(move |it| it.describe(&table)).await?;
    let pair = |(key, value): &(String, String)| json!({"key": key, "value": value});
    let metadata: Vec<Value> = told.metadata.iter().map(pair).collect();
    let metadata = (!metadata.is_empty()).then(|| metadata.into());
    Ok(Schema { fields: told.fields, metadata })
}

/// Removes a table.
pub async fn drop_table(caller: &Caller, asked: DropTable) -> Result<(), Refused> {
    let (table, ignore) = (table(asked.name, asked.namespace), asked.ignore_missing);
    databases(caller).change_tables(move |it| it.drop_table(&table, ignore)).await
}

/// Adds columns.
pub async fn add_columns(caller: &Caller, asked: AddColumns) -> Result<(), Refused> {
    let columns =
        asked.columns.into_iter().map(|column| match (column.value_sql, column.data_type) {
            (Some(expression), None) => Ok((column.name, Adding::Computed(expression))),
            (None, Some(data_type)) => Ok((column.name, Adding::Typed(data_type))),
            _ => {
                let text = "a new column has either value_sql or data_type";
                Err(Refused::invalid(format!("{:?}: {text}", column.name)))
            }
        });
    let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
    let table = table(asked.table, asked.namespace);
    databases(caller).change_tables(move |it| it.add_columns(&table, columns)).await
}

/// Gives columns other types.
pub async fn alter_columns(caller: &Caller, asked: AlterColumns) -> Result<(), Refused> {
    let table = table(asked.table, asked.namespace);
    databases(caller).change_tables(move |it| it.alter_columns(&table, asked.columns)).await
}

/// Removes columns.
pub async fn drop_columns(caller: &Caller, asked: DropColumns) -> Result<(), Refused> {
    let table = table(asked.table, asked.namespace);
    databases(caller).change_tables(move |it| it.drop_columns(&table, &asked.columns)).await
}

/// Removes an index.
pub async fn drop_index(caller: &Caller, asked: DropIndex) -> Result<(), Refused> {
    let table = table(asked.table, asked.namespace);
    databases(caller).change_tables(move |it| it.drop_index(&table, &asked.name)).await
}

/// Changes rows, and says how many.
pub async fn update(caller: &Caller, asked: Update) -> Result<Changed, Refused> {
    let value = |it: &crate::room::database::SetValue| {
        let told = |why: String| Refused::invalid(format!("the value of {:?}: {why}", it.column));
        let plain = serde_json::from_str(&it.value_json).map_err(|why| told(why.to_string()))?;
        Ok::<_, Refused>((it.column.clone(), Held::of_plain(&plain).map_err(told)?))
    };
    let values = asked.values.unwrap_or_default();
    let values: Vec<_> = values.iter().map(value).collect::<Result<_, _>>()?;
    let expressions = asked.values_sql.unwrap_or_default();
    let expressions = expressions.into_iter().map(|it| (it.column, it.expression)).collect();
    let (table, filter) = (table(asked.table, asked.namespace), asked.r#where);
    let work = move |it: &dyn Engine| it.update(&table, &filter, values, expressions);
    let count = databases(caller).change_tables(work).await?;
    Ok(Changed { count: Some(count) })
}

/// Removes rows, and says how many.
pub async fn delete(caller: &Caller, asked: Delete) -> Result<Changed, Refused> {
    let (table, filter) = (table(asked.table, asked.namespace), asked.r#where);
    let count = databases(caller).change_tables(move |it| it.delete(&table, &filter)).await?;
    Ok(Changed { count: Some(count) })
}

/// Counts the rows that a search finds.
pub async fn count(caller: &Caller, asked: Count) -> Result<Counted, Refused> {
    let sought = Sought {
        table: table(asked.table, asked.namespace),
        filter: asked.r#where,
        text: asked.text,
        text_columns: asked.text_columns,
        vector: numbers(asked.vector)?,
        ..Sought::default()
    };
    let count = databases(caller).on_answers(move |it| it.count(&sought)).await?;
    Ok(Counted { count })
}

/// Brings a table in good order.
pub async fn optimize(caller: &Caller, asked: Optimize) -> Result<(), Refused> {
    let table = table(asked.table, asked.namespace);
    databases(caller).change_tables(move |it| it.optimize(&table)).await
}

/// Makes an earlier version the newest one.
pub async fn restore(caller: &Caller, asked: Restore) -> Result<(), Refused> {
    let (table, version) = (table(asked.table, asked.namespace), version(asked.version)?);
    databases(caller).change_tables(move |it| it.restore(&table, version)).await
}

/// Lets everybody in the room read a table at a version.
pub async fn checkout(caller: &Caller, asked: Checkout) -> Result<(), Refused> {
    let (table, version) = (table(asked.table, asked.namespace), version(asked.version)?);
    databases(caller).change_tables(move |it| it.checkout(&table, version)).await
}

/// Lists the versions of a table.
pub async fn list_versions(caller: &Caller, asked: ListVersions) -> Result<Versions, Refused> {
    let table = table(asked.table, asked.namespace);
    let versions = databases(caller).on_tables(move |it| it.versions(&table)).await?;
    let told = |it: meshagent_tables::engine::Version| Version {
        version: i64::try_from(it.version).unwrap_or(i64::MAX),
        timestamp: it.timestamp.to_string(),
        metadata_json: json!({"operation": it.operation}).to_string(),
    };
    Ok(Versions { versions: versions.into_iter().map(told).collect() })
}

/// Makes an index for near vectors.
pub async fn create_vector_index(
    caller: &Caller,
    CreateVectorIndex(asked): CreateVectorIndex,
) -> Result<(), Refused> {
    create_index(caller, asked, IndexKind::Vector).await
}

/// Makes an index for values.
pub async fn create_scalar_index(
    caller: &Caller,
    CreateScalarIndex(asked): CreateScalarIndex,
) -> Result<(), Refused> {
    create_index(caller, asked, IndexKind::Scalar).await
}

/// Makes an index for words.
pub async fn create_full_text_search_index(
    caller: &Caller,
    CreateFullTextSearchIndex(asked): CreateFullTextSearchIndex,
) -> Result<(), Refused> {
    create_index(caller, asked, IndexKind::FullText).await
}

async fn create_index(caller: &Caller, asked: NewIndex, kind: IndexKind) -> Result<(), Refused> {
    let (table, replace) = (table(asked.table, asked.namespace), asked.replace.unwrap_or_default());
    let work = move |it: &dyn Engine| it.create_index(&table, &asked.column, kind, replace);
    databases(caller).change_tables(work).await
}

/// Lists the indexes of a table.
pub async fn list_indexes(caller: &Caller, asked: ListIndexes) -> Result<Indexes, Refused> {
    let table = table(asked.table, asked.namespace);
    let indexes = databases(caller).on_tables(move |it| it.indexes(&table)).await?;
    let told = |it: meshagent_tables::engine::Index| Index {
        name: it.name,
        columns: vec![it.column],
        kind: it.kind.name().to_owned(),
    };
    Ok(Indexes { indexes: indexes.into_iter().map(told).collect() })
}

/// Makes a table of the rows that come, if any do.
pub async fn create_table(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked: CreateTable = read(&start)?;
    let new = NewTable {
        table: table(asked.name, asked.namespace),
        fields: asked.fields,
        mode: match asked.mode {
            Mode::Create => Making::Create,
            Mode::Overwrite => Making::Overwrite,
            Mode::CreateIfNotExists => Making::CreateIfNotExists,
        },
        metadata: asked.metadata.into_iter().flatten().map(|it| (it.key, it.value)).collect(),
    };
    write(stream, move |it| it.create(new)).await
}

/// Adds the rows that come.
pub async fn insert(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked: Insert = read(&start)?;
    let table = table(asked.table, asked.namespace);
    write(stream, move |it| it.insert(&table)).await
}

/// Puts the rows that come in the place of those with the same value in a column.
pub async fn merge(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked: Merge = read(&start)?;
    let table = table(asked.table, asked.namespace);
    write(stream, move |it| it.merge(&table, &asked.on)).await
}

/// Gives the rows that are looked for.
pub async fn search(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked: Search = read(&start)?;
    let sought = Sought {
        table: table(asked.table, asked.namespace),
        filter: asked.r#where,
        text: asked.text,
        text_columns: asked.text_columns,
        vector: numbers(asked.vector)?,
        select: asked.select,
        offset: asked.offset.unwrap_or_default(),
        limit: asked.limit,
    };
    give(stream, move |it| it.search(sought)).await
}

/// Gives what a query answers.
pub async fn sql(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked: Sql = read(&start)?;
    let parameters = match asked.params_json.as_deref() {
        Some(text) => parameters(text)
            .map_err(|why| Refused::invalid(format!("the parameters of the query: {why}")))?,
        None => Vec::new(),
    };
    let named = |it: crate::room::database::SqlTable| {
        let known = it.alias.unwrap_or_else(|| it.name.clone());
        (table(it.name, it.namespace), known)
    };
    let tables: Vec<_> = asked.tables.into_iter().map(named).collect();
    let query = asked.query;
    give(stream, move |it| it.query(&query, tables, &parameters)).await
}

fn parameters(text: &str) -> Result<Vec<(String, Held)>, String> {
    let plain: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(object) = plain else { return Err("they are no object".to_owned()) };
    let read = |(name, it): (String, Value)| match Held::of_plain(&it) {
        Ok(value) => Ok((name, value)),
        Err(why) => Err(format!("{name:?}: {why}")),
    };
    object.into_iter().map(read).collect()
}

/// A vector in the numbers that tables have.
fn numbers(vector: Option<Vec<f64>>) -> Result<Option<Vec<f32>>, Refused> {
    let number = |it: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "vectors have numbers of 32 bits")]
        let short = it as f32;
        let told = || Refused::invalid(format!("{it} is too large for a vector"));
        short.is_finite().then_some(short).ok_or_else(told)
    };
    vector.map(|numbers| numbers.into_iter().map(number).collect()).transpose()
}

/// Reads the part that a stream starts with.
fn read<S: RowStream + DeserializeOwned>(start: &Value) -> Result<S, Refused> {
    S::of_part(&Content::Json(start.clone()))
}

/// Takes rows, batch by batch, and shows them once all have come. Nothing is kept of a stream that
/// is given up.
async fn write(
    stream: &mut Stream,
    begin: impl FnOnce(&dyn Engine) -> Result<Box<dyn Writer>, Error> + Send + 'static,
) -> Result<(), Refused> {
    let databases = databases(&stream.caller);
    let turn = Arc::new(databases.writing().await?);
    let writer = databases.change_tables(begin).await?;
    // The turn ends behind the writer, so that there is room for whoever gets the next one.
    let mut parked = Parked::new((writer, Arc::clone(&turn)));
    stream.send(pull()).await?;
    let mut is_whole = false;
    while let Some((part, received)) = turn.client(stream.arrived()).await? {
        stream.acknowledge(received).await;
        if matches!(part, Content::Close { .. }) {
            is_whole = true;
            break;
        }
        let rows = rows_of(&part).map_err(Refused::invalid)?;
        let mut own = parked;
        // Until it begins, what is parked ends in a thread that may block.
        let written = databases.change_tables(move |_| {
            if let Some(mut writing) = own.take() {
                writing.0.write(rows)?;
                own.put(writing);
            }
            Ok(own)
        });
        parked = written.await?;
        stream.send(pull()).await?;
    }
    // A caller that is gone has not said that this was all.
    if !is_whole || stream.is_given_up() {
        return Err(Refused::invalid("the rows were not whole, so none was written"));
    }
    let finish = async move {
        let finished = databases.change_tables(move |_| match parked.take() {
            Some((own, _turn)) => own.finish().map(Some),
            None => Ok(None),
        });
        finished.await
    };
    stream.caller.room.to_the_end(finish).await.map(drop)
}

/// Gives rows, batch by batch, as the caller asks for them.
async fn give(
    stream: &mut Stream,
    begin: impl FnOnce(&dyn Engine) -> Result<Box<dyn Rows>, Error> + Send + 'static,
) -> Result<(), Refused> {
    let databases = databases(&stream.caller);
    let (rows, turn) = databases.reading(begin).await?;
    let mut rows = Parked::new(rows);
    loop {
        match stream.next().await {
            Some(part) if is_pull(&part) => {}
            // The caller has enough.
            None => return Ok(()),
            Some(_) => return Err(Refused::invalid("rows are asked for with \"pull\"")),
        }
        let Some(mut own) = rows.take() else { return Err(ended()) };
        let turn = turn.upgrade();
        let next = databases.going_on(move || {
            let batch = own.next(BATCH)?;
            Ok((own, batch))
        });
        let (own, batch) = next.await?;
        let Some(batch) = batch else {
            rows.put(own);
            return Ok(());
        };
        let names: Vec<&str> = own.columns().iter().map(|column| column.name.as_str()).collect();
        let part = batch_part(batch.iter().map(|row| names.iter().copied().zip(row)));
        rows.put(own);
        drop(batch);
        stream.send(part).await?;
        drop(turn);
    }
}
