//! Putting an entry into its slot, alone or together with what it changes: a message, or a group.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use serde::Serialize;

use super::{Messages, STATE, stored};
use crate::{
    model::{
        entry::{Entry, StoredEntry},
        error::Error,
        message::Message,
        state::ConversationState,
    },
    store::dynamodb::{ATTEMPTS, Item, Writes, call_error, random_wait},
};

/// The result of a conditional put.
#[derive(Debug)]
pub enum PutOutcome {
    /// The slot was vacant; the entry is stored.
    Stored,
    /// The slot holds this entry; nothing is stored.
    Occupied(Box<StoredEntry>),
    /// A transaction was using the slot, which may be vacant or occupied; nothing is stored. Or the message that the entry
    /// is about has changed since it was read.
    Contended,
}

/// The parts of the state that are stored only if they are not 0, so that an item is no larger than before there were
/// changes, until a message of its conversation changes. In a group, this holds for all parts.
const COUNTS: [&str; 3] = ["changes", "theirChanges", "trailing"];
/// The condition on which an entry is put.
const SLOT_IS_VACANT: &str = "attribute_not_exists(seq)";

#[derive(Serialize)]
struct Row<'a, E> {
    #[serde(flatten)]
    entry: &'a E,
    #[serde(rename = "tally")]
    state: ConversationState,
}

impl<E: Serialize> Row<'_, E> {
    fn item(&self) -> Result<Item, Error> {
        let mut item: Item = serde_dynamo::to_item(self).map_err(|error| Error::Internal(error.into()))?;
        let is_group = self.state.group.is_some();
        if let Some(AttributeValue::M(state)) = item.get_mut(STATE) {
            let zero = AttributeValue::N("0".to_owned());
            state.retain(|name, value| !((is_group || COUNTS.contains(&name.as_str())) && *value == zero));
        }
        Ok(item)
    }
}

impl Messages {
    /// Stores an entry, with the state of its conversation, unless its slot is occupied; with `writes`, all or nothing.
    ///
    /// # Errors
    /// After an error the entry may be stored, because the response may have been lost.
    pub async fn put_if_vacant(
        &self,
        entry: &Entry,
        state: ConversationState,
        writes: Writes,
    ) -> Result<PutOutcome, Error> {
        let item = Row { entry, state }.item()?;
        match writes.0.is_empty() {
            true => self.put(item).await,
            false => self.put_with(item, writes).await,
        }
    }

    /// What must be stored with the entry that announces the change: the message `after` in place of `before`, if no other
    /// change was stored since that was read. The state stays.
    ///
    /// # Errors
    /// [`Error::Internal`] if the item can't be built.
    pub fn replacement(&self, before: &StoredEntry, after: &Message) -> Result<Writes, Error> {
        let item = Row { entry: after, state: before.state }.item()?;
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = match before.entry.version() {
            None => put.condition_expression("attribute_exists(seq) AND attribute_not_exists(version)"),
            Some(version) => put
                .condition_expression("version = :version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        let put = put.build().map_err(|error| Error::Internal(error.into()))?;
        Ok(Writes(vec![TransactWriteItem::builder().put(put).build()]))
    }

    async fn put(&self, item: Item) -> Result<PutOutcome, Error> {
        let result = self
            .dynamodb
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(SLOT_IS_VACANT)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(PutOutcome::Stored),
            Err(SdkError::ServiceError(failure)) if failure.err().is_conditional_check_failed_exception() => {
                match failure.into_err() {
                    PutItemError::ConditionalCheckFailedException(occupied) => occupied_by(occupied.item),
                    other => Err(Error::Internal(other.into())),
                }
            }
            Err(SdkError::ServiceError(failure)) if failure.err().is_transaction_conflict_exception() => {
                Ok(PutOutcome::Contended)
            }
            Err(error) => Err(call_error(error)),
        }
    }

    /// The SDK repeats a lost transaction with the same token, so that a repeat of one that took effect succeeds.
    async fn put_with(&self, item: Item, writes: Writes) -> Result<PutOutcome, Error> {
        let entry = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(SLOT_IS_VACANT)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| Error::Internal(error.into()))?;
        let entry = TransactWriteItem::builder().put(entry).build();
        let items = [entry].into_iter().chain(writes.0).collect();
        let transaction = self.dynamodb.transact_write_items().set_transact_items(Some(items));
        for attempt in 1.. {
            let error = match transaction.clone().send().await {
                Ok(_) => return Ok(PutOutcome::Stored),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                    let reasons = canceled.cancellation_reasons();
                    match reasons.first() {
                        Some(slot) if is_condition(slot) => return occupied_by(slot.item.clone()),
                        _ if reasons.iter().any(|reason| is_condition(reason) || is_conflict(reason)) => break,
                        _ if reasons.iter().all(is_temporary) => {}
                        _ => return Err(Error::Internal(error.into())),
                    }
                    // The SDK repeats throttled calls, and does not count this one among them.
                    if attempt == ATTEMPTS {
                        return Err(Error::Unavailable(error.into()));
                    }
                    tokio::time::sleep(random_wait()).await;
                }
                // The SDK repeated a transaction that is still running.
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => break,
                _ => return Err(call_error(error)),
            }
        }
        Ok(PutOutcome::Contended)
    }
}

fn occupied_by(item: Option<Item>) -> Result<PutOutcome, Error> {
    Ok(PutOutcome::Occupied(Box::new(stored(item.unwrap_or_default())?)))
}

/// The codes of <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

fn is_conflict(reason: &CancellationReason) -> bool {
    reason.code() == Some("TransactionConflict")
}

fn is_temporary(reason: &CancellationReason) -> bool {
    const TEMPORARY: [&str; 4] = ["None", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
    TEMPORARY.contains(&reason.code().unwrap_or("None"))
}
