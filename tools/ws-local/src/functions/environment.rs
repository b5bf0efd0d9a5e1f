//! The environment variables of a function's processes.

use std::collections::BTreeMap;

use super::FunctionOptions;
use crate::template::{Function, Stack};

/// All variables except those that differ between processes. Lambda's variables override the
/// template's, because their names are reserved. `options.environment` overrides both.
pub(super) fn environment(stack: &Stack, function: &Function, options: &FunctionOptions) -> BTreeMap<String, String> {
    let defaults = [
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        // The SDK needs credentials to sign requests. No service on this machine checks them.
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    let reserved = [
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_REGION", stack.region.clone()),
        ("AWS_DEFAULT_REGION", stack.region.clone()),
    ];
    let mut environment: BTreeMap<_, _> = defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    environment.extend(function.environment.clone());
    environment.extend(reserved.map(|(name, value)| (name.to_owned(), value)));
    environment.extend(options.environment.clone());
    environment
}
