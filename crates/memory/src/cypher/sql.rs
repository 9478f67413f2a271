//! A statement, written for SQLite.
//!
//! What is written has names of tables and columns as the file has them, words of SQL, and `?`.
//! Nothing that a client wrote is in it.

mod expression;

use std::collections::HashMap;

use meshagent_tables::stored::Stored;
use meshagent_tables::{Error, Reason, Result};

use super::ast::{Direction, Edge, Expression, Item, Name, Node, Statement, What};
use crate::limits;
use crate::store::Column;
use crate::store::catalog::{Dataset, Kind, Memory, RELATIONSHIP, entity, relationship};

/// Columns that SQLite gives at most.
const COLUMNS: usize = 2_000;

/// Values that SQLite takes at most.
const VALUES: usize = 32_000;

/// What a column of the answer is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// One column of SQLite's.
    One(Kind),
    /// As many as these: a whole record.
    Record(Vec<(String, Kind)>),
}

/// A statement for SQLite.
#[derive(Debug, Clone)]
pub struct Query {
    pub text: String,
    pub values: Vec<Stored>,
    pub columns: Vec<(String, Shape)>,
}

/// Writes a statement for a memory.
///
/// # Errors
///
/// It names a dataset or a variable that there is not, or compares what cannot be compared.
pub fn write(memory: &Memory, statement: &Statement) -> Result<Query> {
    let mut writer = Writer {
        memory,
        variables: HashMap::new(),
        tables: 0,
        text: String::new(),
        values: Vec::new(),
    };
    writer.statement(statement)
}

/// A record of the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Alias {
    /// The number behind `t`.
    number: usize,
    /// The place of its dataset in the memory.
    dataset: usize,
    /// Whether it stands between two nodes.
    edge: bool,
}

struct Writer<'a> {
    memory: &'a Memory,
    variables: HashMap<String, Alias>,
    tables: usize,
    text: String,
    values: Vec<Stored>,
}

impl Writer<'_> {
    fn statement(&mut self, statement: &Statement) -> Result<Query> {
        let (from, conditions) = self.pattern(statement)?;
        let aggregated = statement.items.iter().any(|item| item.expression.is_aggregated());
        self.text.push_str(if statement.distinct { "SELECT DISTINCT " } else { "SELECT " });
        let mut columns = Vec::new();
        // Where the columns of SQLite's begin that an item has, from 1 on.
        let mut places = Vec::new();
        let mut place = 1;
        for (index, item) in statement.items.iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            places.push(place);
            let shape = self.item(item)?;
            place += match &shape {
                Shape::One(_) => 1,
                Shape::Record(fields) => fields.len(),
            };
            columns.push((item.name.clone(), shape));
        }
        if place > COLUMNS {
            return Err(Error::invalid(format!("an answer has at most {COLUMNS} columns")));
        }
        self.text.push_str(&from);
        self.conditions(&conditions, statement.filter.as_ref())?;
        if aggregated {
            let keys = statement.items.iter().zip(&places).zip(&columns);
            let keys: Vec<String> = keys
                .filter(|((item, _), _)| !item.expression.is_aggregated())
                .flat_map(|((_, place), (_, shape))| match shape {
                    Shape::One(_) => *place..place + 1,
                    Shape::Record(fields) => *place..place + fields.len(),
                })
                .map(|place| place.to_string())
                .collect();
            if !keys.is_empty() {
                self.text.push_str(" GROUP BY ");
                self.text.push_str(&keys.join(", "));
            }
        }
        self.order(statement, &places, &columns, aggregated)?;
        // One more than is allowed shows that there are more.
        let most = u64::try_from(limits::ROWS).unwrap_or(u64::MAX) + 1;
        let limit = statement.limit.map_or(most, |limit| limit.min(most));
        let number = |count: u64| Stored::Int(i64::try_from(count).unwrap_or(i64::MAX));
        self.text.push_str(" LIMIT ? OFFSET ?");
        self.values.extend([number(limit), number(statement.skip)]);
        if self.values.len() > VALUES {
            return Err(Error::invalid(format!("a statement has at most {VALUES} values")));
        }
        Ok(Query {
            text: std::mem::take(&mut self.text),
            values: std::mem::take(&mut self.values),
            columns,
        })
    }

    /// The tables of the pattern with what joins them, and the properties that are asked for.
    fn pattern(&mut self, statement: &Statement) -> Result<(String, Vec<Expression>)> {
        let path = !statement.edges.is_empty();
        let mut conditions = Vec::new();
        let mut edges: Vec<(Alias, &Edge)> = Vec::new();
        let (first, _) = self.node(&statement.nodes[0], path, &mut conditions)?;
        let mut from = format!(" FROM {} AS t{}", self.dataset(first).table(), first.number);
        let mut before = first;
        let source = Column::At(relationship::SOURCE);
        let target = Column::At(relationship::TARGET);
        let id = Column::At(entity::ID);
        for (edge, node) in statement.edges.iter().zip(&statement.nodes[1..]) {
            let alias = self.edge(edge, &mut conditions)?;
            let (after, known) = self.node(node, path, &mut conditions)?;
            let table = self.dataset(alias).table();
            let (e, a, b) = (alias.number, before.number, after.number);
            let (start, end) = match edge.direction {
                Direction::Right => {
                    (format!("t{e}.{source} = t{a}.{id}"), format!("t{e}.{target}"))
                }
                Direction::Left => (format!("t{e}.{target} = t{a}.{id}"), format!("t{e}.{source}")),
                Direction::Either => (
                    format!("(t{e}.{source} = t{a}.{id} OR t{e}.{target} = t{a}.{id})"),
                    format!("iif(t{e}.{source} = t{a}.{id}, t{e}.{target}, t{e}.{source})"),
                ),
            };
            from.push_str(&format!(" JOIN {table} AS t{e} ON {start}"));
            // A path goes over a relationship once.
            for (other, _) in &edges {
                from.push_str(&format!(" AND t{e}.row <> t{}.row", other.number));
            }
            if known {
                from.push_str(&format!(" AND t{b}.{id} = {end}"));
            } else {
                let table = self.dataset(after).table();
                from.push_str(&format!(" JOIN {table} AS t{b} ON t{b}.{id} = {end}"));
            }
            edges.push((alias, edge));
            before = after;
        }
        Ok((from, conditions))
    }

    /// A node of the pattern, and whether it was there before.
    fn node(
        &mut self,
        node: &Node,
        path: bool,
        conditions: &mut Vec<Expression>,
    ) -> Result<(Alias, bool)> {
        let dataset = match &node.label {
            None => 0,
            Some(label) => self.memory.position(&label.text).ok_or_else(|| {
                // The public SDK 0.31.4 looks for such texts.
                let name = label.text.to_lowercase();
                let hint = "types of entities are asked for with WHERE e.entity_type = '…'";
                let text = format!("{}: dataset '{name}' not found; {hint}", label.place);
                Error::new(Reason::NotFound, text)
            })?,
        };
        if path && dataset != 0 {
            let text = "the nodes of a path are entities; other datasets stand alone";
            return Err(node.place.error(text));
        }
        let known = node.variable.as_ref().and_then(|name| self.variables.get(&name.text)).copied();
        let alias = match known {
            Some(alias) if alias.edge => return Err(twice(node.variable.as_ref(), node)),
            Some(alias) => alias,
            None => self.alias(node.variable.as_ref(), dataset, false),
        };
        self.properties(alias, &node.properties, conditions);
        Ok((alias, known.is_some()))
    }

    fn edge(&mut self, edge: &Edge, conditions: &mut Vec<Expression>) -> Result<Alias> {
        if let Some(name) = &edge.variable
            && self.variables.contains_key(&name.text)
        {
            let text = format!("the variable {:?} stands for something else already", name.text);
            return Err(name.place.error(text));
        }
        let alias = self.alias(edge.variable.as_ref(), 1, true);
        self.properties(alias, &edge.properties, conditions);
        if !edge.types.is_empty() && !edge.types.iter().any(|it| it == RELATIONSHIP) {
            let place = super::ast::Place { line: 1, column: 1 };
            let text = |it: &String| Expression {
                place,
                what: What::Literal(meshagent_tables::Value::Text(it.clone())),
            };
            let name = hidden(alias);
            let property = What::Property(name, "relationship_type".to_owned());
            conditions.push(Expression {
                place,
                what: What::In(
                    Box::new(Expression { place, what: property }),
                    edge.types.iter().map(text).collect(),
                ),
            });
        }
        Ok(alias)
    }

    fn alias(&mut self, name: Option<&Name>, dataset: usize, edge: bool) -> Alias {
        let alias = Alias { number: self.tables, dataset, edge };
        self.tables += 1;
        if let Some(name) = name {
            self.variables.insert(name.text.clone(), alias);
        }
        self.variables.insert(hidden(alias), alias);
        alias
    }

    /// Asks for the properties that a pattern has in braces.
    fn properties(
        &self,
        alias: Alias,
        properties: &[(Name, Expression)],
        conditions: &mut Vec<Expression>,
    ) {
        for (name, value) in properties {
            let property = What::Property(hidden(alias), name.text.clone());
            let property = Expression { place: name.place, what: property };
            conditions.push(Expression {
                place: name.place,
                what: What::Compare(
                    super::ast::Comparison::Equal,
                    Box::new(property),
                    Box::new(value.clone()),
                ),
            });
        }
    }

    fn conditions(&mut self, asked: &[Expression], filter: Option<&Expression>) -> Result<()> {
        for (index, condition) in asked.iter().chain(filter).enumerate() {
            self.text.push_str(if index == 0 { " WHERE " } else { " AND " });
            if let Some(aggregate) = aggregate_in(condition) {
                return Err(aggregate.place.error("WHERE looks at one record, and not at many"));
            }
            self.condition("WHERE", condition)?;
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<Shape> {
        if let What::Variable(name) = &item.expression.what {
            let alias = self.variable(name, item.expression.place)?;
            let fields: Vec<(String, Kind)> = self
                .dataset(alias)
                .fields
                .iter()
                .map(|field| (field.name.clone(), field.kind))
                .collect();
            for place in 0..fields.len() {
                if place > 0 {
                    self.text.push_str(", ");
                }
                self.text.push_str(&format!("t{}.{}", alias.number, Column::At(place)));
            }
            return Ok(Shape::Record(fields));
        }
        if item.expression.is_aggregated()
            && let Some(alone) = alone_in(&item.expression)
        {
            let text = "beside an aggregate, this needs to be a column of its own";
            return Err(alone.place.error(text));
        }
        let kind = self.kind(&item.expression)?;
        self.expression(&item.expression)?;
        Ok(Shape::One(kind))
    }

    fn order(
        &mut self,
        statement: &Statement,
        places: &[usize],
        columns: &[(String, Shape)],
        aggregated: bool,
    ) -> Result<()> {
        for (index, order) in statement.order.iter().enumerate() {
            self.text.push_str(if index == 0 { " ORDER BY " } else { ", " });
            let expression = resolved(&order.expression, &statement.items);
            let item = statement.items.iter().position(|item| item.expression == expression);
            match item {
                Some(_) if self.is_moment(&expression) => self.key(&expression, true)?,
                Some(item) => match &columns[item].1 {
                    Shape::One(_) => self.text.push_str(&places[item].to_string()),
                    Shape::Record(_) => {
                        let text = "records have no order; order by a property";
                        return Err(order.expression.place.error(text));
                    }
                },
                None if aggregated || statement.distinct => {
                    let text = "with DISTINCT or an aggregate, ORDER BY takes what RETURN gives";
                    return Err(order.expression.place.error(text));
                }
                None => {
                    if let Some(aggregate) = aggregate_in(&expression) {
                        let text = "ORDER BY takes an aggregate that RETURN gives";
                        return Err(aggregate.place.error(text));
                    }
                    self.kind(&expression)?;
                    // A number alone would be the place of a column.
                    self.text.push('(');
                    self.key(&expression, self.is_moment(&expression))?;
                    self.text.push(')');
                }
            }
            let direction = if order.descending { " DESC NULLS FIRST" } else { " ASC NULLS LAST" };
            self.text.push_str(direction);
        }
        // What is equal comes in the order in which it was added. Paths without an order are not
        // sorted, for that takes time.
        let ordered = !statement.order.is_empty();
        if (ordered || self.tables == 1) && !aggregated && !statement.distinct {
            for table in 0..self.tables {
                let before = if ordered || table > 0 { ", " } else { " ORDER BY " };
                self.text.push_str(&format!("{before}t{table}.row"));
            }
        }
        Ok(())
    }

    fn dataset(&self, alias: Alias) -> &Dataset {
        &self.memory.datasets[alias.dataset]
    }
}

/// An expression of an order, with what stands for the names of columns in it.
fn resolved(expression: &Expression, items: &[Item]) -> Expression {
    let again = |it: &Expression| resolved(it, items);
    let boxed = |it: &Expression| Box::new(again(it));
    let all = |list: &[Expression]| list.iter().map(again).collect::<Vec<_>>();
    let what = match &expression.what {
        What::Variable(name) => {
            let item = items.iter().find(|item| item.alias && item.name == *name);
            return item.map_or_else(|| expression.clone(), |item| item.expression.clone());
        }
        What::And(list) => What::And(all(list)),
        What::Or(list) => What::Or(all(list)),
        What::Xor(list) => What::Xor(all(list)),
        What::Not(it) => What::Not(boxed(it)),
        What::Null(it) => What::Null(boxed(it)),
        What::Compare(how, left, right) => What::Compare(*how, boxed(left), boxed(right)),
        What::Test(test, left, right) => What::Test(*test, boxed(left), boxed(right)),
        What::In(it, list) => What::In(boxed(it), all(list)),
        What::Call { function, distinct, arguments } => {
            What::Call { function: *function, distinct: *distinct, arguments: all(arguments) }
        }
        other @ (What::Literal(_) | What::Property(..) | What::CountAll) => other.clone(),
    };
    Expression { place: expression.place, what }
}

/// An aggregate in an expression.
fn aggregate_in(expression: &Expression) -> Option<&Expression> {
    match &expression.what {
        What::CountAll => Some(expression),
        What::Call { function, .. } if function.is_aggregate() => Some(expression),
        _ => expression.parts().into_iter().find_map(aggregate_in),
    }
}

/// What an expression has of a single record, outside of its aggregates.
fn alone_in(expression: &Expression) -> Option<&Expression> {
    match &expression.what {
        What::Property(..) | What::Variable(_) => Some(expression),
        What::Call { function, .. } if function.is_aggregate() => None,
        _ => expression.parts().into_iter().find_map(alone_in),
    }
}

fn twice(name: Option<&Name>, node: &Node) -> Error {
    let (text, place) = name.map_or(("", node.place), |name| (name.text.as_str(), name.place));
    place.error(format!("the variable {text:?} stands for something else already"))
}

/// A name for what may have none. No client can write it: it has a control character.
fn hidden(alias: Alias) -> String {
    format!("\u{0}{}", alias.number)
}
