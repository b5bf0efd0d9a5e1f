//! Each outside system is known to few files.

use std::{collections::BTreeSet, fs};

use crate::{
    CORE,
    sources::{imported_paths, product, root, sources, statements, without_tests, words},
};

/// Checks that only files whose path begins with one of `places` contain one of `terms`, and that each place does.
#[track_caller]
fn check_only(terms: &[&str], places: &[&str]) {
    let holders: Vec<_> = product()
        .into_iter()
        .filter(|(_, code)| terms.iter().any(|term| code.contains(term)))
        .map(|(path, _)| path)
        .collect();
    for path in &holders {
        assert!(
            places.iter().any(|place| path.starts_with(place)),
            "{path} uses one of {terms:?}: move that code to {places:?}"
        );
    }
    for place in places {
        assert!(
            holders.iter().any(|path| path.starts_with(place)),
            "{place} no longer uses {terms:?}: update this test and ARCHITECTURE.md"
        );
    }
}

#[test]
fn only_the_edge_knows_lambda() {
    check_only(&["lambda_runtime", "aws_lambda_events"], &["crates/chat-core/src/lambda/"]);
}

#[test]
fn only_the_request_log_knows_the_metric_format() {
    check_only(&["metrique"], &["crates/chat-core/src/lambda/request_log.rs"]);
}

#[test]
fn only_the_store_knows_dynamodb() {
    check_only(&["aws_sdk_dynamodb", "serde_dynamo"], &["crates/chat-core/src/store/"]);
}

#[test]
fn only_the_connections_api_knows_the_connections_endpoint() {
    check_only(&["aws_sdk_apigatewaymanagement"], &["crates/chat-core/src/push/connections_api.rs"]);
}

/// A type of the SDK in a public signature would let another layer depend on the SDK without naming its crate.
#[test]
fn no_type_of_an_aws_sdk_leaves_the_layer_that_confines_it() {
    // Connection settings, from which `configuration` makes the clients.
    const ALLOWED: &str = "SdkConfig";
    let mut checked = 0;
    for (path, code) in product() {
        let code = without_tests(&code);
        let types: BTreeSet<_> = statements(code, "use ")
            .flat_map(imported_paths)
            .filter(|path| {
                path.starts_with("aws_sdk") || path.starts_with("aws_smithy") || path.starts_with("aws_config")
            })
            .filter_map(|path| path.rsplit("::").next().map(str::to_owned))
            .filter(|name| name.starts_with(char::is_uppercase) && name != ALLOWED)
            .collect();
        for signature in public_signatures(code) {
            checked += 1;
            let leaked = words(signature).find(|word| types.contains(*word) || word.starts_with("aws_sdk"));
            assert!(
                leaked.is_none(),
                "{path} shows the SDK's {leaked:?} in `{signature}`: return a type of the model, or make it pub(super)"
            );
        }
    }
    assert!(checked > 100, "signatures are found: {checked}");
}

/// The heads of functions, fields and aliases that code of other layers can use.
fn public_signatures(code: &str) -> impl Iterator<Item = &str> {
    code.split('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some((start, line.trim_start()))
        })
        .filter(|(_, line)| line.starts_with("pub ") || line.starts_with("pub(crate) "))
        .filter(|(_, line)| !line.contains("pub use ") && !line.contains(" mod "))
        .map(|(start, _)| code[start..].split(['{', ';', '=']).next().unwrap())
        .map(|signature| signature.split("pub(super)").next().unwrap().trim())
}

#[test]
fn repositories_know_neither_each_other_nor_the_rate_limit() {
    let repositories = ["Connections", "Messages", "Inboxes", "Members"];
    let files = [
        ("connections", "Connections"),
        ("messages/mod", "Messages"),
        ("messages/pages", "Messages"),
        ("messages/puts", "Messages"),
        ("inboxes", "Inboxes"),
        ("members/mod", "Members"),
        ("members/rows", "Members"),
    ];
    for (file, own) in files {
        let path = format!("{CORE}store/{file}.rs");
        let code = fs::read_to_string(root().join(&path)).unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for name in words(&code) {
            assert!(
                name == own || !repositories.contains(&name),
                "{path} uses the repository {name}: let the route call both"
            );
            assert!(!name.starts_with("Rate"), "{path} uses {name}: limits are the route's business");
        }
    }
}

#[test]
fn only_the_log_appends() {
    let callers: Vec<_> =
        product().into_iter().filter(|(_, code)| code.contains(".put_if_vacant(")).map(|(path, _)| path).collect();
    let log = "crates/chat-core/src/log/append.rs";
    assert_eq!(callers, [log], "appending is the algorithm of {log}");
}

#[test]
fn only_the_authorizer_knows_tokens_and_one_module_of_it_fetches_keys() {
    check_only(&["aws_smithy_runtime_api", "HttpRequest"], &["crates/authorizer/src/jwks.rs"]);
    check_only(&["jsonwebtoken"], &["crates/authorizer/src/"]);
}

#[test]
fn only_the_edge_of_the_api_makes_requests_of_backends() {
    let askers = [
        "crates/group/src/lib.rs",
        "crates/chat-core/src/protocol/request.rs",
        "crates/chat-core/src/store/members/mod.rs",
    ];
    check_only(&["Origin::Backend"], &[&askers[..], &["crates/chat-core/src/lambda/backend.rs"]].concat());
    for path in askers {
        let code = fs::read_to_string(root().join(path)).unwrap();
        let asks = code.matches(".origin == Origin::Backend").count();
        assert_eq!(code.matches("Origin::Backend").count(), asks, "{path} only asks where a request comes from");
    }
}

#[test]
fn a_conversation_is_named_only_by_its_users_or_a_membership() {
    let members = "crates/chat-core/src/store/members/mod.rs";
    check_only(&["ConversationId::of_group(", "Admission {"], &[members]);
    let others = [
        // The log checks the membership of a draft's sender.
        "crates/chat-core/src/model/draft.rs",
        // A position proves nothing about another conversation.
        "crates/chat-core/src/protocol/position.rs",
        // An inbox lists only conversations of its owner.
        "crates/chat-core/src/store/inboxes.rs",
    ];
    check_only(&["ConversationId::of("], &[&others[..], &[members]].concat());
    let core = fs::read_to_string(root().join("crates/chat-core/src/model/conversation.rs")).unwrap();
    for maker in ["between", "of_group", "of"] {
        assert!(core.contains(&format!("pub(crate) fn {maker}(")), "functions must not call ConversationId::{maker}");
    }
    let requests = fs::read_to_string(root().join("crates/chat-core/src/protocol/requests.rs")).unwrap();
    assert!(!requests.contains("ConversationId"), "a client names users and groups, never a conversation");
}

#[test]
fn cryptography_is_used_for_tokens_and_positions_only() {
    let users = ["crates/authorizer/src/signature.rs", "crates/chat-core/src/protocol/position.rs"];
    check_only(&["use ring::"], &users);
}

#[test]
fn only_configuration_reads_the_environment() {
    let terms = [
        "env::var",
        "std::env",
        "_TABLE\"",
        "_ENDPOINT\"",
        "_MODE\"",
        "_KEY\"",
        "\"JWT_",
        "_ORIGINS\"",
        "_NAMESPACE\"",
    ];
    check_only(&terms, &["crates/chat-core/src/configuration/"]);
}

#[test]
fn model_and_protocol_do_no_input_or_output() {
    // `deadline` waits, and `metrics` reads the clock.
    let files = sources(&format!("{CORE}model")).into_iter().chain(sources(&format!("{CORE}protocol")));
    for (path, code) in files.filter(|(path, _)| !["deadline.rs", "metrics.rs"].iter().any(|name| path.ends_with(name)))
    {
        for term in ["async ", "await", "tokio", "aws_", "tracing", "std::fs", "std::net", "SystemTime::now"] {
            assert!(!without_tests(&code).contains(term), "{path} uses {term}: model and protocol are values only");
        }
    }
}
