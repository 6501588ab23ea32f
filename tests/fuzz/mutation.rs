//! JSON that was sound, changed in places.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A change of one place in a JSON value.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another value stands there.
    Replace(Value),
    /// The field or element is gone.
    Remove,
    /// A field that nobody knows is there, too.
    Add(String, Value),
    /// The element stands there twice, or the text is repeated many times.
    Repeat,
}

/// A place, as a number that chooses among all places, and what is changed there.
pub type Mutation = (prop::sample::Index, Change);

/// Some changes.
pub fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    prop::collection::vec((any::<prop::sample::Index>(), change()), 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => junk().prop_map(Change::Replace),
        2 => Just(Change::Remove),
        1 => ("[a-zA-Z]{1,8}", junk()).prop_map(|(name, value)| Change::Add(name, value)),
        1 => Just(Change::Repeat),
    ]
}

/// Values that code likes to stumble over, and any others.
pub fn junk() -> impl Strategy<Value = Value> {
    let odd = prop::sample::select(vec![
        Value::Null,
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(0.1),
        json!(""),
        json!(" "),
        json!("-1s"),
        json!("99999999999h"),
        json!("120%"),
        json!("NaN"),
        json!("{{args.x}}"),
        json!("{{args."),
        json!("../../etc"),
        json!("\u{0}\u{202e}"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"": null}),
    ]);
    let leaf = prop_oneof![
        3 => odd,
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// `value` with these changes.
pub fn mutated(mut value: Value, mutations: &[Mutation]) -> Value {
    for (place, change) in mutations {
        let mut places = Vec::new();
        pointers(&value, &mut String::new(), &mut places);
        if !places.is_empty() {
            apply(&mut value, place.get::<String>(&places), change);
        }
    }
    value
}

/// The places of all that is in `value`.
fn pointers(value: &Value, at: &mut String, places: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => return,
    };
    for (name, part) in parts {
        let length = at.len();
        at.push('/');
        at.push_str(&name);
        places.push(at.clone());
        pointers(part, at, places);
        at.truncate(length);
    }
}

fn apply(value: &mut Value, place: &str, change: &Change) {
    let (parent, name) = place.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    match (change, value.pointer_mut(parent)) {
        (Change::Replace(new), Some(Value::Object(fields))) => {
            fields.insert(name, new.clone());
        }
        (Change::Remove, Some(Value::Object(fields))) => {
            fields.remove(&name);
        }
        (Change::Replace(new), Some(Value::Array(items))) => {
            items[name.parse::<usize>().expect("an index")] = new.clone();
        }
        (Change::Remove, Some(Value::Array(items))) => {
            items.remove(name.parse().expect("an index"));
        }
        (Change::Repeat, Some(Value::Array(items))) => {
            let item = items[name.parse::<usize>().expect("an index")].clone();
            items.push(item);
        }
        (Change::Repeat, Some(Value::Object(fields))) => {
            if let Some(Value::String(text)) = fields.get_mut(&name) {
                *text = text.repeat(200);
            }
        }
        (Change::Add(new, value), Some(Value::Object(fields))) => {
            fields.insert(new.clone(), value.clone());
        }
        _ => {}
    }
}
