//! Property-test strategies for hostile input: user ids, JSON values and mutated strings.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// A configuration for `count` cases, or `PROPTEST_CASES` cases if that variable is set. A failing
/// case is printed and not written to the repository.
pub fn cases(count: u32) -> ProptestConfig {
    let asked = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked,
        None => ProptestConfig { cases: count, ..asked },
    }
}

/// User ids that an attacker would try: parts of conversation ids, and characters that look alike,
/// are invisible or take several bytes.
pub fn user_id() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[dm:12ab]{1,7}",
        1 => "dm:[1-9]:[ab]{1,3}:[ab:]{1,3}",
        1 => "[a\u{e9}\u{301}e\u{200b}\u{202e}\u{430}\u{ff1a}|#/%\"'\\\\{}$]{1,6}",
        1 => "[a:]{120,128}",
    ]
}

/// Any JSON value, including numbers at every limit. Most of its strings are taken from `strings`.
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

/// A JSON object with these members in this order; a name may occur twice.
pub fn object(members: &[(String, Value)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// One of `texts` after up to four mutations: cuts, repetitions, deep nesting, or inserted
/// characters, numbers and escapes at the limits of JSON. The result may be unchanged or empty.
pub fn mutated(texts: Vec<String>) -> impl Strategy<Value = String> {
    let mutation = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), select(MUTATIONS.to_vec()));
    (select(texts), prop::collection::vec(mutation, 0..5)).prop_map(|(text, mutations)| {
        mutations.into_iter().fold(text, |text, (at, other, mutate)| {
            let (at, other) = (boundary(&text, at.index(text.len() + 1)), boundary(&text, other.index(text.len() + 1)));
            mutate(&text, at.min(other), at.max(other))
        })
    })
}

/// Mutates a string between two byte positions.
type Mutation = fn(&str, usize, usize) -> String;

const MUTATIONS: [Mutation; 12] = [
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
    // Replace a value with one of another type.
    |text, at, _| replace_value(text, at, "7"),
    |text, at, _| replace_value(text, at, "{\"S\":\"x\"}"),
    |text, at, to| {
        let depth = 100 + to % 200;
        replace_value(text, at, &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    },
    // Repeat a member.
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

/// Replaces the value of the first member after `at`.
fn replace_value(text: &str, at: usize, value: &str) -> String {
    let Some(start) = text[at..].find("\":").map(|found| at + found + 2) else { return text.to_owned() };
    let end = text[start..].find([',', '}']).map_or(text.len(), |found| start + found);
    format!("{}{value}{}", &text[..start], &text[end..])
}
