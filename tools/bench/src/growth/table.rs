//! Ever more messages in the table, half of them in the one conversation in which something is done.

use std::{collections::HashMap, path::Path};

use anyhow::Context;
use dynoxide::{Database, ImportOptions, types::AttributeValue};
use serde_json::json;

use crate::{
    actions,
    measure::{Bench, Rounds, run},
    report::Figures,
};

/// How many messages each of the other conversations has.
const ELSEWHERE: u64 = 1_000;
/// Rows that are stored at once.
const CHUNK: u64 = 50_000;

/// What each action takes, by how many messages there are; the no-op first.
///
/// # Errors
/// As from [`run`], or where a row can't be stored.
pub async fn rows(binaries: &Path, sizes: &[u64]) -> anyhow::Result<Vec<(u64, Vec<(String, Figures)>)>> {
    let mut rows = Vec::new();
    for size in sizes {
        let database = support::tables();
        // A row as the real function writes it, and an inbox that knows its conversation.
        let mut say = actions::in_a_conversation(0);
        say.before = vec![actions::say("alice", "bob", 0)];
        say.actions.truncate(1);
        run(vec![Bench::start(binaries, database.clone(), None, say, None).await?], Rounds { fresh: 1, warm: 0 })
            .await?;
        let newest = fill(&database, *size)?;
        let bench = Bench::start(binaries, database, None, actions::in_a_conversation(newest), None).await?;
        let figures = run(vec![bench], Rounds { fresh: 1, warm: 250 }).await?;
        rows.push((*size, figures.into_iter().flatten().collect()));
    }
    Ok(rows)
}

/// Fills the table with copies of its one row, and gives the number of that conversation's newest message.
fn fill(database: &Database, size: u64) -> anyhow::Result<u64> {
    let stored = support::call(database, "Scan", json!({ "TableName": "MessagesTable" }))?;
    let row: HashMap<String, AttributeValue> = serde_json::from_value(stored["Items"][0].clone())?;
    let Some(AttributeValue::S(here)) = row.get("conversationId").cloned() else {
        anyhow::bail!("a message of no conversation");
    };
    let in_it = (size / 2).max(1);
    let place = |number: u64| match number < in_it {
        true => (here.clone(), number + 1),
        false => (format!("elsewhere {}", (number - in_it) / ELSEWHERE), (number - in_it) % ELSEWHERE + 1),
    };
    for chunk in (1..size).step_by(CHUNK as usize) {
        let items = (chunk..size.min(chunk + CHUNK)).map(|number| {
            let (conversation, seq) = place(number);
            let mut row = row.clone();
            row.insert("conversationId".to_owned(), AttributeValue::S(conversation));
            row.insert("seq".to_owned(), AttributeValue::N(seq.to_string()));
            row
        });
        database.import_items("MessagesTable", items.collect(), ImportOptions::default()).context("no room")?;
    }
    Ok(in_it)
}
