//! The embedded DynamoDB, called by an operation's name and JSON, without a way in between.

use dynoxide::{Database, errors::DynoxideError};
use serde_json::Value;

/// Does one call as DynamoDB's HTTP API has it: `operation` such as `PutItem`, `request` its body.
///
/// # Errors
/// DynamoDB's own.
///
/// # Panics
/// Where nobody calls this operation, or the request is not one.
pub fn call(database: &Database, operation: &str, request: Value) -> Result<Value, DynoxideError> {
    macro_rules! dispatch {
        ($($name:literal => $method:ident),+) => {
            match operation {
                $($name => {
                    let request = serde_json::from_value(request).unwrap_or_else(|error| panic!("{operation}: {error}"));
                    serde_json::to_value(database.$method(request)?)
                })+
                other => panic!("nobody calls {other}"),
            }
        };
    }
    let answer = dispatch!(
        "PutItem" => put_item,
        "GetItem" => get_item,
        "DeleteItem" => delete_item,
        "UpdateItem" => update_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "TransactWriteItems" => transact_write_items
    );
    Ok(answer.expect("an answer is JSON"))
}
