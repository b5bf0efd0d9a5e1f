//! A function that can't start: what its process prints.

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn a_function_that_cannot_start_logs_one_error_with_the_cause() {
    for (variables, cause) in [
        (vec![], "the environment variable AUTH_MODE is not set"),
        (vec![("AUTH_MODE", "jwt")], "the environment variable JWT_JWKS_URL is not set"),
        (
            vec![("AUTH_MODE", "open"), ("AWS_LAMBDA_LOG_LEVEL", "LOUD")],
            "the environment variable AWS_LAMBDA_LOG_LEVEL",
        ),
    ] {
        let mut authorizer = Command::new(env!("CARGO_BIN_EXE_authorizer"));
        authorizer.env_clear().env("AWS_LAMBDA_LOG_FORMAT", "JSON").env("AWS_LAMBDA_LOG_LEVEL", "ERROR");
        let output = authorizer.envs(variables).output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stderr)), (Some(1), Ok(String::new())));
        let line: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
        assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("the function can't start")));
        assert!(line["cause"].as_str().unwrap().starts_with(cause), "{line}");
        // Without a timestamp, Lambda takes the line as INFO and drops it at this log level.
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
}
