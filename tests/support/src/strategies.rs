//! What somebody sends who means no good: property tests draw names, JSON and changed texts from here. No product code
//! depends on it.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// So many cases, or as many as `PROPTEST_CASES` says. What fails is printed, and not written into the repository.
pub fn cases(count: u32) -> ProptestConfig {
    let asked = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked,
        None => ProptestConfig { cases: count, ..asked },
    }
}

/// User ids of what an attacker would try: all that ids of conversations are made of, and letters that look alike,
/// can't be seen, or take several bytes.
pub fn user_id() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[dm:12ab]{1,7}",
        1 => "dm:[1-9]:[ab]{1,3}:[ab:]{1,3}",
        1 => "[a\u{e9}\u{301}e\u{200b}\u{202e}\u{430}\u{ff1a}|#/%\"'\\\\{}$]{1,6}",
        1 => "[a:]{120,128}",
    ]
}

/// Any JSON, of which the strings are mostly these: broken shapes, and numbers at every edge.
pub fn json_value(strings: Vec<String>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => select(strings).prop_map(Value::from),
        1 => ".{0,12}".prop_map(Value::from),
        1 => select(vec![
            json!(null), json!(true), json!(""), json!(" "), json!("\u{0}"), json!("\u{ffff}"), json!("x".repeat(129)),
            json!("x".repeat(17_000)), json!([]), json!({}),
        ]),
        2 => select(vec![
            json!(0), json!(1), json!(2), json!(-1), json!(1.5), json!(1e300), json!(-0.0), json!(i64::MIN),
            json!(u64::MAX), json!((1_u64 << 53) - 1), json!(1_u64 << 53), json!(101),
        ]),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z:]{0,12}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A JSON object of these members, in this order; two may have one name.
pub fn object(members: &[(String, Value)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// One of these texts, changed up to four times: cut, with bytes flipped, doubled, nested too deep, with numbers and
/// escapes that no parser likes. Now and then it is not changed at all, and now and then nothing of it is left.
pub fn changed(texts: Vec<String>) -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), select(CHANGES.to_vec()));
    (select(texts), prop::collection::vec(change, 0..5)).prop_map(|(text, changes)| {
        changes.into_iter().fold(text, |text, (at, other, change)| {
            let (at, other) = (boundary(&text, at.index(text.len() + 1)), boundary(&text, other.index(text.len() + 1)));
            change(&text, at.min(other), at.max(other))
        })
    })
}

/// Makes another text of one, between two places of it.
type Change = fn(&str, usize, usize) -> String;

const CHANGES: [Change; 12] = [
    |text, at, _| text[..at].to_owned(),
    |text, _, to| text[to..].to_owned(),
    |text, from, to| format!("{}{}", &text[..from], &text[to..]),
    |text, from, to| format!("{}{}", &text[..to], &text[from..]),
    |text, at, to| insert(text, at, &((b' ' + (to % 95) as u8) as char).to_string()),
    |text, at, to| {
        let odd = [
            "\\ud800",
            "\\udc00\\ud800",
            "\\u0000",
            "\0",
            "\u{feff}",
            "\u{2028}",
            "\\",
            "\"",
            "\r\n",
            "\u{ff}",
            "\u{10ffff}",
        ];
        insert(text, at, odd[to % odd.len()])
    },
    |text, at, to| {
        let numbers =
            ["1e999", "-0", "00", "0x1", "18446744073709551616", "-9223372036854775809", "1e-999", "NaN", "."];
        insert(text, at, numbers[to % numbers.len()])
    },
    |text, at, to| {
        let values = ["null", "true", "[]", "{}", "\"\"", ",", ":", "}{", "[1,", "{\"a\":"];
        insert(text, at, values[to % values.len()])
    },
    // A value becomes one of another type.
    |text, at, _| replace_value(text, at, "7"),
    |text, at, _| replace_value(text, at, "{\"S\":\"x\"}"),
    |text, at, to| {
        let depth = 100 + to % 200;
        replace_value(text, at, &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    },
    // A member stands twice.
    |text, at, _| match text[at..].find(",\"").map(|found| at + found) {
        Some(start) => {
            let end = text[start + 1..].find(',').map_or(text.len(), |found| start + 1 + found);
            insert(text, start, &text[start..end])
        }
        None => text.repeat(2),
    },
];

fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

fn insert(text: &str, at: usize, what: &str) -> String {
    format!("{}{what}{}", &text[..at], &text[at..])
}

/// With this in the place of the value of the first member after `at`.
fn replace_value(text: &str, at: usize, value: &str) -> String {
    let Some(start) = text[at..].find("\":").map(|found| at + found + 2) else { return text.to_owned() };
    let end = text[start..].find([',', '}']).map_or(text.len(), |found| start + found);
    format!("{}{value}{}", &text[..start], &text[end..])
}
