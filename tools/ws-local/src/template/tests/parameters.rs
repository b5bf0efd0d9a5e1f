//! The rules of parameters.

use super::*;

#[test]
fn parameters_are_held_to_their_rules() {
    let read = |rules: &str, value: &str| {
        let source = format!("Parameters:\n  P: {{{rules}}}\n") + include_str!("../../../tests/templates/echo.yaml");
        parse(&source, Path::new(""), &overrides(&[("P", value)])).err().map(|fault| fault.to_string())
    };
    for (rules, good, bad, rule) in [
        ("Type: String, AllowedValues: [a, b]", "b", "c", "it must be one of a, b"),
        ("Type: String, AllowedPattern: '[a-z]+'", "abc", "abc1", "it must match [a-z]+"),
        ("Type: String, MinLength: 2, MaxLength: 3", "ab", "a", "its length must be from 2 to 3"),
        ("Type: String, MaxLength: 3", "äöü", "abcd", "its length must be at most 3"),
        ("Type: Number", "1.5", "one", "it must be a number"),
        ("Type: Number, MinValue: 1, MaxValue: 3", "3", "4", "it must be from 1 to 3"),
        ("Type: CommaDelimitedList, AllowedValues: [a, b]", "a, b", "a, c", "it must be one of"),
        ("Type: String, AllowedValues: [a], ConstraintDescription: say a", "a", "b", "refused: say a"),
    ] {
        assert_eq!(read(rules, good), None, "{rules}");
        let fault = read(rules, bad).unwrap();
        assert!(fault.starts_with("2: Parameters.P") && fault.contains(rule), "{rules}: {fault}");
    }
}

#[test]
fn a_value_for_an_unknown_parameter_is_refused() {
    let source = include_str!("../../../tests/templates/auction.yaml");
    let fault = parse(source, Path::new(""), &overrides(&[("Stag", "x")])).unwrap_err().to_string();
    assert!(fault.contains("a value is given for `Stag`"), "{fault}");
    assert!(fault.contains("it has Stage, Doors"), "{fault}");
}
