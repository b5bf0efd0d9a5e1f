//! `Members`: the repository of groups and their members, in the table of that name. `Admission`: a conversation that the caller
//! may use.
//!
//! A group has one item for its settings, and one for each user who is or was a member. Whether a user is a member at entry n
//! follows from their item alone: `at` ≤ n ≤ `to`. Items change only in the transaction that puts the entry that says so.

mod rows;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use crate::{
    model::{
        conversation::{ConversationId, GroupId, Readable, Recipient, Seq},
        error::Error,
        group::{Group, GroupName},
        group_change::NOT_A_MEMBER,
        user::UserId,
    },
    protocol::request::{Origin, Request},
    store::dynamodb::{Consistency, DynamoDbClient, Item, Writes, batch_get, call_error, from_item, random_wait},
};

use rows::{GroupRow, MemberRow};

/// How often the members are read until they agree with their group. A transaction is applied within milliseconds.
const READS: u32 = 10;
/// With more members in all cached groups than this, the process forgets them: 20,000 take about 5 MB.
const MAX_CACHED: usize = 20_000;

/// The repository of groups. All reads are strongly consistent. Every error is [`Error::Unavailable`] or [`Error::Internal`],
/// unless its method says otherwise.
#[derive(Debug, Clone)]
pub struct Members {
    dynamodb: Client,
    table: String,
    /// What this process has read, in any version.
    cache: Arc<Mutex<HashMap<GroupId, Arc<Group>>>>,
}

/// A conversation that the caller may use. Only [`Members::admit`] makes one, so no route can forget the check.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The conversation.
    pub conversation: ConversationId,
    /// The other user, or the group.
    pub recipient: Recipient,
    /// The entries that the caller may read.
    pub readable: Readable,
    /// The caller's membership in the group; none in a direct conversation, and for a backend that acts as a user who is not a
    /// member.
    pub membership: Option<Membership>,
}

impl Admission {
    /// Checks that the caller is or was a member, if the conversation is a group. A backend that acts as a user who is not a
    /// member reads and changes groups, and does nothing else there.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if there is no [`Admission::membership`] in the group.
    pub fn require_membership(&self) -> Result<(), Error> {
        match self.recipient {
            Recipient::Group(_) if self.membership.is_none() => Err(Error::Forbidden(NOT_A_MEMBER)),
            _ => Ok(()),
        }
    }
}

/// A user's membership in a group, present or past, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The entry that added the user.
    pub at: Seq,
    /// The entry that last changed the membership.
    pub since: Seq,
    /// The entries that the user may read. The last one is that which removed them.
    pub readable: Readable,
    /// The count of messages up to `at`.
    pub messages: u64,
}

/// What an inbox shows of a group.
#[derive(Debug, Clone)]
pub struct GroupSummary {
    /// The name that members see.
    pub name: GroupName,
    /// The count of members.
    pub members: usize,
    /// The group entry after which both are so.
    pub version: Seq,
}

impl Members {
    pub(crate) fn new(dynamodb: &DynamoDbClient, table: String) -> Self {
        Self { dynamodb: dynamodb.0.clone(), table, cache: Arc::default() }
    }

    /// The conversation of the caller and a recipient. In a group it takes one call, the same whether there is such a group or
    /// not. A user who was a member may still read what they could. A backend needs no membership: if it acts as a user who is
    /// not a member, any more or at all, it may read everything.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the caller was never a member of the group, or there is no such group.
    pub async fn admit(&self, request: &Request, recipient: &Recipient) -> Result<Admission, Error> {
        let is_backend = request.origin == Origin::Backend;
        let membership = match recipient {
            Recipient::User(_) => None,
            Recipient::Group(group) => match self.membership(&request.user, *group).await? {
                Some(former) if is_backend && former.readable.to.is_some() => None,
                Some(membership) => Some(membership),
                None if is_backend && self.summaries([*group]).await?.contains_key(group) => None,
                None => return Err(Error::Forbidden(NOT_A_MEMBER)),
            },
        };
        Ok(Admission {
            conversation: ConversationId::of(&request.user, recipient),
            recipient: recipient.clone(),
            readable: membership.map_or(Readable::ALL, |membership| membership.readable),
            membership,
        })
    }

    /// The same conversation, with the membership as it is after a read that showed `version`, the newest change of the group.
    ///
    /// The sender of an entry has read all memberships as of the change before it. So a membership that is read after an entry
    /// holds each change before that entry.
    ///
    /// # Errors
    /// As [`Members::admit`].
    pub async fn confirm(&self, request: &Request, admission: &Admission, version: Seq) -> Result<Admission, Error> {
        match &admission.membership {
            Some(membership) if membership.readable.to.is_none() && membership.since < version => {
                self.admit(request, &admission.recipient).await
            }
            _ => Ok(admission.clone()),
        }
    }

    /// The conversation of a group and its present members.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the caller is not a member of the group and no backend, or there is no such group.
    pub async fn admit_with_group(&self, request: &Request, group: GroupId) -> Result<(Admission, Arc<Group>), Error> {
        loop {
            let admission = self.admit(request, &Recipient::Group(group)).await?;
            if admission.readable.to.is_some() {
                return Err(Error::Forbidden(NOT_A_MEMBER));
            }
            let group = self.present(group).await?.ok_or(Error::Forbidden(NOT_A_MEMBER))?;
            // Otherwise the caller was removed between the two reads.
            if admission.membership.is_none() || group.members.contains_key(&request.user) {
                return Ok((admission, group));
            }
        }
    }

    /// The membership of `user`, present or past; none if they were never a member.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn membership(&self, user: &UserId, group: GroupId) -> Result<Option<Membership>, Error> {
        let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let item = get.set_key(Some(key(group, user.as_str()))).send().await.map_err(call_error)?.item;
        item.map(|item| from_item::<MemberRow>(item).map(Membership::from)).transpose()
    }

    /// The memberships of `user` in these groups, present or past.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn memberships(
        &self,
        user: &UserId,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Result<HashMap<GroupId, Membership>, Error> {
        let rows = self.rows::<MemberRow>(groups, user.as_str()).await?;
        Ok(rows.into_iter().map(|(group, row)| (group, row.into())).collect())
    }

    /// What an inbox shows of these groups.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn summaries(
        &self,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Result<HashMap<GroupId, GroupSummary>, Error> {
        let rows = self.rows::<GroupRow>(groups, GROUP).await?;
        Ok(rows.into_iter().map(|(group, row)| (group, row.into())).collect())
    }

    /// A group as it is now; none if there is no such group. One call if this process knows its newest version.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn present(&self, group: GroupId) -> Result<Option<Arc<Group>>, Error> {
        let Some(known) = self.cached(group) else { return self.group(group).await };
        let row = self.rows::<GroupRow>([group], GROUP).await?.remove(&group);
        match row.is_some_and(|row| row.since == known.version) {
            true => Ok(Some(known)),
            false => self.group(group).await,
        }
    }

    /// A group as this process has read it last; none if it has not.
    pub fn cached(&self, group: GroupId) -> Option<Arc<Group>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }

    /// A group with all members, as of one entry; none if there is no such group.
    ///
    /// A query is no transaction, so some of its items can be older or newer than others. The group's item holds the sum of
    /// `since` of all its members. The next entry is put only after its sender has read, or stored, every item of the last
    /// change. So a query sees at most two neighbouring versions. A member's item that is newer than the group's item has a
    /// larger `since`, and an older one makes the sum too small, so both are noticed.
    ///
    /// # Errors
    /// If the members can't be read.
    pub async fn group(&self, group: GroupId) -> Result<Option<Arc<Group>>, Error> {
        for _ in 0..READS {
            let items = self.items(group).await?;
            if items.is_empty() {
                return Ok(None);
            }
            if let Some(read) = rows::group(group, items)? {
                return Ok(Some(self.remember(read)));
            }
            tokio::time::sleep(random_wait()).await;
        }
        Err(Error::Unavailable("the members of a group do not agree with it".into()))
    }

    /// What must be stored with the entry that makes the group `after` of the group `before`.
    ///
    /// # Errors
    /// [`Error::Internal`] if an item can't be built.
    pub fn writes(&self, before: Option<&Group>, after: &Group) -> Result<Writes, Error> {
        let mut writes = Writes::default();
        for item in rows::changed_items(before, after)? {
            writes.add_put(&self.table, item)?;
        }
        Ok(writes)
    }

    /// Keeps a group that was read, or stored, for later entries.
    pub fn remember(&self, group: Group) -> Arc<Group> {
        let group = Arc::new(group);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.get(&group.id).is_some_and(|known| known.version > group.version) {
            return group;
        }
        cache.insert(group.id, group.clone());
        if cache.values().map(|group| group.members.len() + group.departed.len()).sum::<usize>() > MAX_CACHED {
            cache.retain(|id, _| *id == group.id);
        }
        group
    }

    /// Every item of a group.
    async fn items(&self, group: GroupId) -> Result<Vec<Item>, Error> {
        let id = ConversationId::of_group(group).as_str().to_owned();
        let query = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("conversationId = :id")
            .expression_attribute_values(":id", AttributeValue::S(id));
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(from).send().await.map_err(call_error)?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// The items with one sort key in these groups.
    async fn rows<T: serde::de::DeserializeOwned>(
        &self,
        groups: impl IntoIterator<Item = GroupId>,
        sort_key: &str,
    ) -> Result<HashMap<GroupId, T>, Error> {
        let by_id: HashMap<_, _> =
            groups.into_iter().map(|group| (ConversationId::of_group(group).as_str().to_owned(), group)).collect();
        let keys: Vec<_> = by_id.values().map(|group| key(*group, sort_key)).collect();
        let mut rows = HashMap::new();
        for item in batch_get(&self.dynamodb, &self.table, &keys, Consistency::Strong).await? {
            let id = item.get("conversationId").and_then(|id| id.as_s().ok()).and_then(|id| by_id.get(id));
            let group = *id.ok_or_else(|| Error::Internal("an item of another group was read".into()))?;
            rows.insert(group, from_item(item)?);
        }
        Ok(rows)
    }
}

/// The sort key of a group's own item. No user id begins with white space.
const GROUP: &str = " ";

fn key(group: GroupId, sort_key: &str) -> Item {
    let id = ConversationId::of_group(group).as_str().to_owned();
    [("conversationId", id), ("userId", sort_key.to_owned())]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}
