//! Patterns: nodes, and paths between them.

use meshagent_tables::Result;

use super::Parser;
use crate::cypher::ast::{Direction, Edge, Expression, Name, Node};
use crate::cypher::lexer::Kind;

/// Relationships of a path.
const HOPS: usize = 4;

impl Parser<'_> {
    pub(super) fn pattern(&mut self) -> Result<(Vec<Node>, Vec<Edge>)> {
        if let Kind::Word(_) = self.peek()
            && let Some(next) = self.tokens.get(self.at + 1)
        {
            let place = self.place();
            match next.kind {
                Kind::Sign("=") => {
                    return Err(place.error("a name for a path is not understood; name its nodes"));
                }
                Kind::Sign("(") => {
                    return Err(
                        place.error("functions of paths are not understood; write the path")
                    );
                }
                _ => {}
            }
        }
        let mut nodes = vec![self.node()?];
        let mut edges = Vec::new();
        while self.is_sign("-") || self.is_sign("<") {
            let place = self.place();
            if edges.len() >= HOPS {
                return Err(place.error(format!("a path has at most {HOPS} relationships")));
            }
            edges.push(self.edge()?);
            nodes.push(self.node()?);
        }
        if self.is_sign(",") {
            let text = "several patterns are not understood; make one path of them";
            return Err(self.place().error(text));
        }
        if self.is_word("MATCH") {
            return Err(self
                .place()
                .error("a second MATCH is not understood; make one path of both"));
        }
        Ok((nodes, edges))
    }

    fn node(&mut self) -> Result<Node> {
        let place = self.place();
        self.expect_sign("(")?;
        let variable = self.variable()?;
        let label = match self.sign(":") {
            true => Some(self.name("the name of a dataset")?),
            false => None,
        };
        if self.is_sign(":") || self.is_sign("|") {
            return Err(self.place().error("several labels are not understood; give one"));
        }
        let properties = self.properties()?;
        if self.is_word("WHERE") {
            let text = "a condition in a pattern is not understood; write it behind the pattern";
            return Err(self.place().error(text));
        }
        self.expect_sign(")")?;
        Ok(Node { place, variable, label, properties })
    }

    fn variable(&mut self) -> Result<Option<Name>> {
        match self.peek() {
            Kind::Word(word) if word.eq_ignore_ascii_case("WHERE") => Ok(None),
            Kind::Word(_) | Kind::Quoted(_) => self.name("a variable").map(Some),
            _ => Ok(None),
        }
    }

    fn edge(&mut self) -> Result<Edge> {
        let place = self.place();
        let left = self.sign("<");
        self.expect_sign("-")?;
        let mut edge = Edge {
            variable: None,
            types: Vec::new(),
            properties: Vec::new(),
            direction: Direction::Either,
        };
        if self.sign("[") {
            edge.variable = self.variable()?;
            if self.sign(":") {
                loop {
                    edge.types.push(self.name("the type of a relationship")?.text);
                    if !self.sign("|") {
                        break;
                    }
                    // The older way to write it has a second colon.
                    self.sign(":");
                }
            }
            if self.is_sign("*") {
                let text = "a path of any length is not understood; write each relationship";
                return Err(self.place().error(text));
            }
            edge.properties = self.properties()?;
            self.expect_sign("]")?;
        }
        self.expect_sign("-")?;
        edge.direction = match (left, self.sign(">")) {
            (true, true) => return Err(place.error("a relationship points one way, or neither")),
            (true, false) => Direction::Left,
            (false, true) => Direction::Right,
            (false, false) => Direction::Either,
        };
        Ok(edge)
    }

    fn properties(&mut self) -> Result<Vec<(Name, Expression)>> {
        let mut properties = Vec::new();
        if !self.sign("{") || self.sign("}") {
            return Ok(properties);
        }
        loop {
            let name = self.name("the name of a property")?;
            self.expect_sign(":")?;
            properties.push((name, self.literal()?));
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign("}")?;
        Ok(properties)
    }
}
