//! Rising number of messages in the table. Half of them are in the measured conversation.

use std::{collections::HashMap, path::Path};

use anyhow::Context;
use dynoxide::{Database, ImportOptions, types::AttributeValue};
use serde_json::json;

use crate::{
    actions,
    measure::{Bench, Rounds, run},
    report::Measurement,
};

/// Messages in each of the other conversations.
const MESSAGES_PER_OTHER_CONVERSATION: u64 = 1_000;
/// Number of items in one import.
const CHUNK: u64 = 50_000;

/// Measures each action for each number of messages, the no-op function first.
///
/// # Errors
/// As [`run`], or if an item can't be stored.
pub async fn measure(binaries: &Path, sizes: &[u64]) -> anyhow::Result<Vec<(u64, Vec<(String, Measurement)>)>> {
    let mut rows = Vec::new();
    for size in sizes {
        let database = support::tables();
        // The real function writes the inbox entries and one message, which `fill` copies.
        let mut first_message = actions::in_a_conversation(0);
        first_message.set_up = vec![actions::user_message("alice", "bob", 0)];
        first_message.actions.truncate(1);
        run(
            vec![Bench::start(binaries, database.clone(), None, first_message, None).await?],
            Rounds { fresh: 1, warm: 0 },
        )
        .await?;
        let newest = fill(&database, *size)?;
        let bench = Bench::start(binaries, database, None, actions::in_a_conversation(newest), None).await?;
        let measurements = run(vec![bench], Rounds { fresh: 1, warm: 250 }).await?;
        rows.push((*size, measurements.into_iter().flatten().collect()));
    }
    Ok(rows)
}

/// Fills the table with copies of its only item and returns the newest sequence number of that conversation.
fn fill(database: &Database, size: u64) -> anyhow::Result<u64> {
    let stored = support::call(database, "Scan", json!({ "TableName": "MessagesTable" }))?;
    let item: HashMap<String, AttributeValue> = serde_json::from_value(stored["Items"][0].clone())?;
    let Some(AttributeValue::S(conversation_id)) = item.get("conversationId").cloned() else {
        anyhow::bail!("the item has no conversationId");
    };
    let in_conversation = (size / 2).max(1);
    let key = |number: u64| match number < in_conversation {
        true => (conversation_id.clone(), number + 1),
        false => (
            format!("other {}", (number - in_conversation) / MESSAGES_PER_OTHER_CONVERSATION),
            (number - in_conversation) % MESSAGES_PER_OTHER_CONVERSATION + 1,
        ),
    };
    for chunk in (1..size).step_by(CHUNK as usize) {
        let items = (chunk..size.min(chunk + CHUNK)).map(|number| {
            let (conversation, seq) = key(number);
            let mut item = item.clone();
            item.insert("conversationId".to_owned(), AttributeValue::S(conversation));
            item.insert("seq".to_owned(), AttributeValue::N(seq.to_string()));
            item
        });
        database
            .import_items("MessagesTable", items.collect(), ImportOptions::default())
            .context("the embedded DynamoDB refused the import")?;
    }
    Ok(in_conversation)
}
