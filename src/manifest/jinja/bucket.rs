//! Values as keys among many, so that equal ones are found without comparing all of them.

use minijinja::Value;

use super::value::{Budget, Kind, LOOK, Outcome, Py, Sequence};

/// A value as a key among many: equal values have equal keys, and some that are not equal
/// do, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    /// A text.
    Text(String),
    /// A number, or a boolean, which Python takes for one; by its bits as a float.
    Number(u64),
    /// None, or an undefined value.
    Nothing(bool),
    /// The values of a tuple.
    Tuple(Vec<Bucket>),
    /// Anything else.
    Other,
}

impl Bucket {
    /// The bucket of a value.
    ///
    /// # Errors
    ///
    /// The budget is used up.
    pub(super) fn of(budget: &Budget, value: &Value) -> Outcome<Self> {
        budget.charge(LOOK)?;
        let float = |number: f64| Self::Number((number + 0.0).to_bits());
        Ok(match Py::of(value) {
            Py::Str(text, _) => {
                budget.charge(text.len())?;
                Self::Text(text.to_owned())
            }
            Py::Float(number) => float(number),
            Py::None => Self::Nothing(true),
            Py::Undefined => Self::Nothing(false),
            Py::Seq(Sequence { kind: Kind::Tuple | Kind::Group, items, .. }) => Self::Tuple(
                items.iter().map(|item| Self::of(budget, item)).collect::<Outcome<_>>()?,
            ),
            // Numbers of which a float holds but a part share a bucket.
            #[allow(clippy::cast_precision_loss)]
            other => other.as_int().map_or(Self::Other, |number| float(number as f64)),
        })
    }
}
