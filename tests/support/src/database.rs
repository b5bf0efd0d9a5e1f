//! Direct calls to the embedded DynamoDB, without HTTP.

use dynoxide::{Database, errors::DynoxideError};
use serde_json::Value;

/// Calls one operation of DynamoDB's HTTP API, such as `PutItem`, with the JSON body `request`.
///
/// # Errors
/// DynamoDB's error.
///
/// # Panics
/// If the operation is not in this function's list, or the request is not valid for it.
pub fn call(database: &Database, operation: &str, request: Value) -> Result<Value, DynoxideError> {
    macro_rules! dispatch {
        ($($name:literal => $method:ident),+) => {
            match operation {
                $($name => {
                    let request = serde_json::from_value(request).unwrap_or_else(|error| panic!("{operation}: {error}"));
                    serde_json::to_value(database.$method(request)?)
                })+
                other => panic!("{other} is not supported: add it to this list"),
            }
        };
    }
    let response = dispatch!(
        "PutItem" => put_item,
        "GetItem" => get_item,
        "DeleteItem" => delete_item,
        "UpdateItem" => update_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "TransactWriteItems" => transact_write_items
    );
    Ok(response.expect("a response is JSON"))
}
