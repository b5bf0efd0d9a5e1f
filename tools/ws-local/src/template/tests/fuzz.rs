//! Randomly edited templates: the result is a stack or an error with a line, never a panic.

use proptest::{prelude::*, sample::select};

use super::*;

const GOOD: [&str; 2] =
    [include_str!("../../../tests/templates/auction.yaml"), include_str!("../../../tests/templates/echo.yaml")];

/// Replacements for a value.
const VALUES: [&str; 24] = [
    "",
    "~",
    "!Ref AWS::NoValue",
    "!Ref Nothing",
    "!Sub '${'",
    "!Sub '${A.B.C}${!x}${}'",
    "!Sub [a]",
    "!GetAtt X",
    "!GetAtt [A, !Ref B]",
    "!If [a, b]",
    "!If [Nothing, 1, 2]",
    "!Join ['', !Ref AWS::Region]",
    "!Select [0, []]",
    "!Equals [1, 1]",
    "{Ref: {Ref: x}}",
    "{'Fn::If': []}",
    "&a [*a]",
    "*b",
    "[[[[]]]]",
    "99999999999999999999",
    "-1",
    "!!binary x",
    "|",
    "'\u{0}\u{feff}'",
];

/// A valid template with lines removed, repeated, indented or unindented, or with changed values.
fn edited() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..6, select(VALUES.to_vec()));
    (select(GOOD.to_vec()), prop::collection::vec(edit, 1..5)).prop_map(|(template, edits)| {
        let mut lines: Vec<_> = template.lines().map(str::to_owned).collect();
        for (at, how, value) in edits {
            let at = at.index(lines.len());
            match how {
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => lines[at].insert_str(0, "  "),
                3 => lines[at] = lines[at].strip_prefix("  ").unwrap_or(&lines[at]).to_owned(),
                _ => {
                    if let Some((key, _)) = lines[at].clone().split_once(':') {
                        lines[at] = format!("{key}: {value}");
                    }
                }
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(support::strategies::cases(1_000))]

    #[test]
    fn any_text_is_a_stack_or_a_fault_with_its_line(
        template in prop_oneof![3 => edited(), 1 => support::strategies::mutated(GOOD.map(str::to_owned).into()), 1 => any::<String>()],
        stage in "[a-z${}!]{0,5}",
    ) {
        let lines = template.lines().count();
        for pairs in [vec![], vec![("Stage", stage.as_str())]] {
            if let Err(fault) = parse(&template, Path::new("/project"), &overrides(&pairs)) {
                prop_assert!(fault.line <= lines + 1, "{fault} of {lines} lines");
                prop_assert!(!fault.to_string().is_empty());
            }
        }
    }
}
