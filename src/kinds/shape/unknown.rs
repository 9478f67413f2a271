//! What a platform answers and a shape does not know: it is kept, and an update sends it back.

use serde_json::{Map, Value};

use super::{Form, Identity, Shape};

impl Shape {
    /// What of an answer this shape does not know, with what tells the items of lists apart;
    /// `None` when it knows everything. It is all that [`Shape::keep_unknown`] needs of the
    /// answer, and much smaller.
    #[must_use]
    pub fn unknown(&self, answered: &Value) -> Option<Value> {
        match (&self.form, answered) {
            (Form::Object(shapes), Value::Object(fields)) => {
                let unknown: Map<String, Value> = fields
                    .iter()
                    .filter_map(|(name, value)| {
                        let unknown = match shapes.get(name.as_str()) {
                            Some(shape) => shape.unknown(value)?,
                            None => value.clone(),
                        };
                        Some((name.clone(), unknown))
                    })
                    .collect();
                (!unknown.is_empty()).then_some(Value::Object(unknown))
            }
            (
                Form::List { items: shape, identity: Identity::Field(field) },
                Value::Array(items),
            ) => {
                let unknown: Vec<_> = items.iter().map(|item| shape.unknown(item)).collect();
                unknown.iter().any(Option::is_some).then(|| {
                    let pairs = items.iter().zip(unknown);
                    let with_identity = pairs.map(|(item, unknown)| {
                        let mut unknown = match unknown {
                            Some(Value::Object(unknown)) => unknown,
                            _ => Map::new(),
                        };
                        if let Some(identity) = item.get(field) {
                            unknown.insert(field.clone(), identity.clone());
                        }
                        Value::Object(unknown)
                    });
                    with_identity.collect()
                })
            }
            _ => None,
        }
    }

    fn is_absent_if_empty(&self) -> bool {
        self.empty_is_absent && matches!(self.form, Form::Object(_))
    }

    /// Puts back into `body` what the platform answered and this shape does not know, so
    /// that a full update does not take away what a newer platform added.
    pub fn keep_unknown(&self, body: &mut Value, answered: &Value) {
        match (&self.form, body, answered) {
            (Form::Object(shapes), Value::Object(body), Value::Object(answered)) => {
                for (name, value) in answered {
                    match (shapes.get(name.as_str()), body.get_mut(name)) {
                        // An object that is absent because nothing is in it has what is unknown.
                        (Some(shape), Some(below @ Value::Null)) if shape.is_absent_if_empty() => {
                            *below = shape.unknown(value).unwrap_or_default();
                        }
                        (Some(shape), Some(below)) => shape.keep_unknown(below, value),
                        (Some(_), None) => {}
                        (None, Some(_)) => {}
                        (None, None) => {
                            body.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
            (
                Form::List { items: shape, identity: Identity::Field(field) },
                Value::Array(items),
                Value::Array(answered),
            ) => {
                for item in items {
                    if let Some(same) =
                        answered.iter().find(|candidate| candidate.get(field) == item.get(field))
                    {
                        shape.keep_unknown(item, same);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::specs::service::ContainerSpec;

    #[test]
    fn unknown_fields_of_an_answer_are_put_back() {
        let shape = Shape::of::<ContainerSpec>();
        let body = json!({"image": "x", "environment": [{"name": "A", "value": "1"}]});
        let answered = json!({"image": "y", "gpu": 1, "environment": [{"name": "B"}, {"name": "A", "value": "0", "from": "z"}]});
        let unknown = shape.unknown(&answered).unwrap();
        assert_eq!(
            unknown,
            json!({"gpu": 1, "environment": [{"name": "B"}, {"from": "z", "name": "A"}]})
        );
        assert_eq!(shape.unknown(&body), None);
        // A mount of a sort that is not known stays, too, where there are no others.
        let mut body_without = json!({"image": "x", "storage": null, "api_key": null});
        let mounted = json!({"storage": {"room": null, "later": [1]}, "api_key": {"x": 1}});
        for answered in [mounted.clone(), shape.unknown(&mounted).unwrap()] {
            shape.keep_unknown(&mut body_without, &answered);
            let storage = json!({"later": [1]});
            assert_eq!(body_without, json!({"image": "x", "storage": storage, "api_key": null}));
        }
        for answered in [answered, unknown] {
            let mut body = body.clone();
            shape.keep_unknown(&mut body, &answered);
            assert_eq!(
                body,
                json!({"image": "x", "environment": [{"name": "A", "value": "1", "from": "z"}], "gpu": 1})
            );
        }
    }
}
