//! `Exposures`: transactions that DynamoDB is applying. A read in the meantime sees each changed item before or after it.
//!
//! DynamoDB isolates a transaction from each item that a query or a batch reads, and not from the whole query or batch. A
//! reader who has seen an item as it is after the transaction never sees the earlier one again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

const TABLE: &str = "MembersTable";
/// The sort key of the item of the group itself.
const GROUP: &str = " ";

/// By the conversation id of the group that is changed.
#[derive(Debug, Default)]
pub(crate) struct Exposures(Mutex<HashMap<String, Exposure>>);

#[derive(Debug)]
struct Exposure {
    /// The items that were not yet read as they are after the transaction.
    before: BTreeMap<String, Value>,
    /// The users whose items were read as they are after the transaction.
    seen: BTreeSet<String>,
    rng: fastrand::Rng,
}

impl Exposures {
    /// Whether a transaction is changing this group.
    pub(crate) fn contains(&self, group: &str) -> bool {
        self.lock().contains_key(group)
    }

    /// Begins to show these items of the group beside those in the table. Returns false if another transaction is changing it.
    pub(crate) fn begin(&self, group: &str, items: Vec<Value>, rng: fastrand::Rng) -> bool {
        let mut all = self.lock();
        if all.contains_key(group) {
            return false;
        }
        let before = items.into_iter().map(|item| (user_of(&item).to_owned(), item)).collect();
        all.insert(group.to_owned(), Exposure { before, seen: BTreeSet::new(), rng });
        true
    }

    /// From now on, reads see the items as they are in the table.
    pub(crate) fn end(&self, group: &str) {
        self.lock().remove(group);
    }

    /// Replaces some items in the response to a read of members by what they were before. Returns whether any may have changed.
    pub(crate) fn alter(&self, request: &Value, response: &mut Value) -> bool {
        let mut all = self.lock();
        if let Some(id) = request["ExpressionAttributeValues"][":id"]["S"].as_str() {
            let Some(exposure) = all.get_mut(id) else { return false };
            let items = response["Items"].as_array().cloned().unwrap_or_default();
            let items = exposure.query(&items);
            *response = json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items });
            return true;
        }
        if let Some((id, user)) = key(&request["Key"]) {
            let Some(exposure) = all.get_mut(id) else { return false };
            let item = exposure.item(user, response.get("Item"));
            *response = item.map_or(json!({}), |item| json!({ "Item": item }));
            return true;
        }
        let keys = request["RequestItems"][TABLE]["Keys"].as_array().into_iter().flatten().filter_map(key);
        let mut is_altered = false;
        for (id, user) in keys {
            let (Some(exposure), Some(items)) = (all.get_mut(id), response["Responses"][TABLE].as_array_mut()) else {
                continue;
            };
            let is_it = |item: &Value| item["conversationId"]["S"] == id && user_of(item) == user;
            let after = items.iter().find(|item| is_it(item)).cloned();
            items.retain(|item| !is_it(item));
            items.extend(exposure.item(user, after.as_ref()));
            is_altered = true;
        }
        is_altered
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Exposure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exposure {
    /// The item of this user, before or after the transaction.
    fn item(&mut self, user: &str, after: Option<&Value>) -> Option<Value> {
        // A reader who finds the group changed, and some of its members not yet, is misled the most.
        let is_old = if user == GROUP { self.rng.u32(0..4) == 0 } else { self.rng.u32(0..4) > 0 };
        if is_old && !self.seen.contains(user) {
            return self.before.get(user).cloned();
        }
        self.seen.insert(user.to_owned());
        after.cloned()
    }

    /// All items, sorted, of which these are the ones after the transaction.
    fn query(&mut self, after: &[Value]) -> Vec<Value> {
        let after: BTreeMap<_, _> = after.iter().map(|item| (user_of(item).to_owned(), item.clone())).collect();
        let users: BTreeSet<_> = self.before.keys().chain(after.keys()).cloned().collect();
        users.iter().filter_map(|user| self.item(user, after.get(user))).collect()
    }
}

fn user_of(item: &Value) -> &str {
    item["userId"]["S"].as_str().unwrap_or_default()
}

fn key(key: &Value) -> Option<(&str, &str)> {
    Some((key["conversationId"]["S"].as_str()?, key["userId"]["S"].as_str()?))
}
