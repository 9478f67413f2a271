//! A graph as a drawing. A crate lays out the boxes and arrows; this file says what they look like.

use std::borrow::Cow;
use std::fmt::Write;

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;
use minijinja::HtmlEscape;

use super::{Graph, Node};
use crate::conceal;
use crate::error::{Class, Error, Result};
use crate::plan::waits::Waits;
use crate::visible;

/// The maximum size of a drawing, in boxes and bends of arrows. Nobody reads a larger one, and the
/// time for the layout grows with the square of the size.
const LARGEST: usize = 1_500;

/// The maximum size at which crossings of arrows are avoided, which takes even longer.
const UNTANGLED: usize = 120;

/// The maximum length of a label, in characters.
const LONGEST: usize = 60;

const FONT: usize = 13;
const LETTER: f64 = 7.9;
const HEIGHT: f64 = 30.0;
const MARGIN: f64 = 10.0;

/// The colours of a box: its line, and its ground.
type Colours = (u32, u32);

/// The colours by the sign of the operation.
const COLOURS: [(&str, Colours); 3] =
    [("+", (0x1a7f37, 0xdafbe1)), ("-", (0xcf222e, 0xffebe9)), ("○", (0x0969da, 0xddf4ff))];
const CHANGED: Colours = (0x9a6700, 0xfff8c5);
const UNCHANGED: Colours = (0x57606a, 0xffffff);

impl Graph {
    /// The graph as a drawing.
    pub(in crate::plan) fn svg(&self) -> Result<String> {
        let size = self.size();
        if size > LARGEST {
            let (boxes, arrows) = (self.nodes.len(), self.arrows().count());
            let told = format!("a graph of {boxes} boxes and {arrows} arrows is too large to draw");
            return Err(Error::new(Class::Failed, told)
                .hint("--language dot writes what Graphviz draws: `dot -Tsvg`"));
        }
        let mut drawing = Drawing::default();
        if !self.nodes.is_empty() {
            let mut graph = VisualGraph::new(Orientation::LeftToRight);
            let handles: Vec<_> =
                self.nodes.iter().map(|node| graph.add_node(element(node))).collect();
            for (before, index) in self.arrows() {
                graph.add_edge(Arrow::simple(""), handles[before], handles[index]);
            }
            graph.do_it(false, size > UNTANGLED, false, &mut drawing);
        }
        Ok(drawing.finish(&self.title))
    }

    /// The number of boxes, and of bends of arrows that pass other boxes.
    fn size(&self) -> usize {
        let mut waits = Waits::new(&self.before);
        let mut columns = vec![0; self.nodes.len()];
        let mut free: Vec<usize> = waits.free().collect();
        let mut bends = 0;
        while let Some(next) = free.pop() {
            let before = &self.before[next];
            columns[next] = before.iter().map(|it| columns[*it] + 1).max().unwrap_or(0);
            bends += before.iter().map(|it| columns[next] - columns[*it] - 1).sum::<usize>();
            free.extend(waits.settle(next));
        }
        self.nodes.len() + bends
    }
}

fn element(node: &Node) -> Element {
    // Only a whole credential is found.
    let label = conceal::within(Cow::Borrowed(&node.label));
    let label = visible::line(&label);
    let label = match label.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &label[..end]),
        None => label.into_owned(),
    };
    let coloured = COLOURS.iter().find(|(sign, _)| Some(*sign) == node.sign);
    let (line, ground) = match (node.sign, coloured) {
        (None, _) => UNCHANGED,
        (Some(_), None) => CHANGED,
        (Some(_), Some((_, colours))) => *colours,
    };
    let colour = |rgb: u32| Color::new(rgb << 8 | 0xff);
    let look = StyleAttr::new(colour(line), 1, Some(colour(ground)), 4, FONT);
    // Wide letters are mostly outside of ASCII.
    let width: f64 = label.chars().map(|c| if c.is_ascii() { LETTER } else { 2.0 * LETTER }).sum();
    let size = Point::new(width + 2.0 * MARGIN, HEIGHT);
    Element::create(ShapeKind::new_box(&label), look, Orientation::LeftToRight, size)
}

/// What was drawn so far.
#[derive(Default)]
struct Drawing {
    shapes: String,
    /// They are drawn behind the boxes.
    arrows: String,
    width: f64,
    height: f64,
}

impl Drawing {
    fn reach(&mut self, point: Point) {
        self.width = self.width.max(point.x);
        self.height = self.height.max(point.y);
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.shapes, "{shape}");
    }

    fn finish(self, title: &str) -> String {
        let (width, height) = (self.width + MARGIN, self.height + MARGIN);
        let title = HtmlEscape(title);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="monospace">
<title>{title}</title>
<defs><marker id="arrow" markerWidth="10" markerHeight="7" refX="10" refY="3.5" orient="auto"><polygon points="0 0, 10 3.5, 0 7" fill="#57606a"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>
{}{}</svg>
"##,
            self.arrows, self.shapes
        )
    }
}

impl RenderBackend for Drawing {
    fn draw_rect(
        &mut self,
        at: Point,
        size: Point,
        look: &StyleAttr,
        _properties: Option<String>,
        _clip: Option<ClipHandle>,
    ) {
        self.reach(Point::new(at.x + size.x, at.y + size.y));
        let (x, y, width, height) = (at.x, at.y, size.x, size.y);
        let ground = look.fill_color.unwrap_or_else(Color::transparent).to_web_color();
        let (line, rounded) = (look.line_color.to_web_color(), look.rounded);
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="{rounded}" fill="{ground}" stroke="{line}"/>"#
        ));
    }

    fn draw_line(&mut self, from: Point, to: Point, look: &StyleAttr, _properties: Option<String>) {
        self.reach(from);
        self.reach(to);
        let line = look.line_color.to_web_color();
        self.add(format_args!(
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{line}"/>"#,
            from.x, from.y, to.x, to.y
        ));
    }

    fn draw_circle(
        &mut self,
        at: Point,
        size: Point,
        look: &StyleAttr,
        _properties: Option<String>,
    ) {
        self.reach(Point::new(at.x + size.x / 2.0, at.y + size.y / 2.0));
        let line = look.line_color.to_web_color();
        self.add(format_args!(
            r#"<ellipse cx="{:.1}" cy="{:.1}" rx="{:.1}" ry="{:.1}" fill="none" stroke="{line}"/>"#,
            at.x,
            at.y,
            size.x / 2.0,
            size.y / 2.0
        ));
    }

    fn draw_text(&mut self, at: Point, text: &str, look: &StyleAttr) {
        let (x, y, font, text) = (at.x, at.y, look.font_size, HtmlEscape(text));
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{font}" text-anchor="middle" dominant-baseline="central">{text}</text>"#
        ));
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _dashed: bool,
        _head: (bool, bool),
        _look: &StyleAttr,
        _properties: Option<String>,
        _text: &str,
    ) {
        let mut curve = String::new();
        for (index, (one, other)) in path.iter().enumerate() {
            self.reach(*one);
            self.reach(*other);
            let (x, y, x2, y2) = (one.x, one.y, other.x, other.y);
            // The first pair is the start and its control point; in the others, the control point
            // comes first.
            let _ = match index {
                0 => write!(curve, "M {x:.1} {y:.1} C {x2:.1} {y2:.1}"),
                1 => write!(curve, ", {x:.1} {y:.1}, {x2:.1} {y2:.1}"),
                _ => write!(curve, " S {x:.1} {y:.1}, {x2:.1} {y2:.1}"),
            };
        }
        let _ = writeln!(
            self.arrows,
            r##"<path d="{curve}" fill="none" stroke="#57606a" marker-end="url(#arrow)"/>"##
        );
    }

    fn create_clip(&mut self, _at: Point, _size: Point, _rounded: usize) -> ClipHandle {
        // Plain boxes are not clipped.
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(before: Vec<Vec<usize>>) -> Graph {
        let node = |index| Node { label: format!("create Room/{index}"), sign: Some("+") };
        Graph { nodes: (0..before.len()).map(node).collect(), before, ..Graph::default() }
    }

    #[test]
    fn bends_count_and_what_is_too_large_is_told() {
        // The last arrow of three passes the box between.
        assert_eq!(graph(vec![vec![], vec![0], vec![0, 1]]).size(), 4);
        assert_eq!(graph(vec![vec![]; 7]).size(), 7);
        let error = graph(vec![vec![]; LARGEST + 1]).svg().unwrap_err();
        assert_eq!(error.message, "a graph of 1501 boxes and 0 arrows is too large to draw");
        assert!(graph(Vec::new()).svg().unwrap().contains("<svg "));
    }

    /// The layout has many assertions of its own, and none may fail.
    #[test]
    fn graphs_of_every_sort_are_drawn() {
        let mut random = fastrand::Rng::with_seed(11);
        for size in 1..30 {
            let density = random.u8(1..120);
            let before: Vec<Vec<usize>> = (0..size)
                .map(|index| (0..index).filter(|_| random.u8(..) < density).collect())
                .collect();
            let before = super::super::reduced(&before);
            let arrows: usize = before.iter().map(Vec::len).sum();
            let drawn = graph(before.clone()).svg().unwrap();
            assert_eq!(drawn.matches("marker-end").count(), arrows, "{before:?}");
            assert_eq!(drawn.matches("<text ").count(), size, "{before:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_escaped() {
        let label = format!("create Room/<b>{}", "x".repeat(100));
        let nodes = vec![Node { label, sign: None }];
        let drawn = Graph { nodes, before: vec![vec![]], ..Graph::default() }.svg().unwrap();
        assert!(drawn.contains("Room&#x2f;&lt;b&gt;xxx") && drawn.contains("xxx…<"), "{drawn}");
    }
}
