//! The items of the table `Members`, and the group that they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GROUP, GroupSummary, Membership, key};
use crate::{
    model::{
        conversation::{GroupId, Readable, Seq},
        error::Error,
        group::{Group, Member, Role, Settings},
        time::Timestamp,
        user::UserId,
    },
    store::dynamodb::{Item, from_item},
};

/// The item of a user who is or was a member.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct MemberRow {
    role: Role,
    /// The entry that added the user.
    at: Seq,
    /// The entry that removed the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Seq>,
    /// The first entry that the user may read.
    #[serde(rename = "seen")]
    readable_from: Seq,
    /// The entry that last changed this item.
    since: Seq,
    /// The count of messages up to `at`.
    count: u64,
}

/// The item of the group itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRow {
    #[serde(flatten)]
    settings: Settings,
    created_at: Timestamp,
    /// The entry that last changed the group or one of its members.
    pub(super) since: Seq,
    /// The count of members.
    members: usize,
    /// The sum of `since` of all who are or were members.
    total: u64,
}

impl From<MemberRow> for Membership {
    fn from(MemberRow { at, to, readable_from, since, count, .. }: MemberRow) -> Self {
        Self { at, since, readable: Readable { from: readable_from, to }, messages: count }
    }
}

impl From<GroupRow> for GroupSummary {
    fn from(row: GroupRow) -> Self {
        Self { name: row.settings.name, members: row.members, version: row.since }
    }
}

impl MemberRow {
    fn of(member: &Member, to: Option<Seq>) -> Self {
        let Member { role, at, readable_from, since, messages } = *member;
        Self { role, at, to, readable_from, since: to.unwrap_or(since), count: messages }
    }
}

/// The group that these items are; none if they are not all as of one entry.
pub(super) fn group(id: GroupId, items: Vec<Item>) -> Result<Option<Group>, Error> {
    let (mut settings, mut members, mut departed, mut total) = (None, BTreeMap::new(), BTreeMap::new(), 0);
    let mut newest = Seq::NONE;
    for item in items {
        let name = item.get("userId").and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
        if name == GROUP {
            settings = Some(from_item::<GroupRow>(item)?);
            continue;
        }
        let user = UserId::try_from(name).map_err(|error| Error::Internal(error.into()))?;
        let MemberRow { role, at, to, readable_from, since, count } = from_item(item)?;
        newest = newest.max(since);
        total += since.since(Seq::NONE);
        match to {
            Some(to) => {
                departed.insert(user, to);
            }
            None => {
                members.insert(user, Member { role, at, readable_from, since, messages: count });
            }
        }
    }
    let Some(row) = settings.filter(|row| newest <= row.since && total == row.total) else { return Ok(None) };
    let GroupRow { settings, created_at, since, .. } = row;
    Ok(Some(Group { id, settings, created_at, version: since, members, departed }))
}

/// The items of `after` that differ from those of `before`, with that of the group.
pub(super) fn changed_items(before: Option<&Group>, after: &Group) -> Result<Vec<Item>, Error> {
    let member_of = |group: Option<&Group>, user: &UserId| group.and_then(|group| group.members.get(user).copied());
    let mut items = vec![item(
        after.id,
        GROUP,
        &GroupRow {
            settings: after.settings.clone(),
            created_at: after.created_at,
            since: after.version,
            members: after.members.len(),
            total: total(after),
        },
    )?];
    for (user, member) in &after.members {
        if member_of(before, user) != Some(*member) {
            items.push(item(after.id, user.as_str(), &MemberRow::of(member, None))?);
        }
    }
    for (user, to) in &after.departed {
        if let Some(member) = member_of(before, user) {
            items.push(item(after.id, user.as_str(), &MemberRow::of(&member, Some(*to)))?);
        }
    }
    Ok(items)
}

fn total(group: &Group) -> u64 {
    let members = group.members.values().map(|member| member.since);
    members.chain(group.departed.values().copied()).map(|since| since.since(Seq::NONE)).sum()
}

fn item(group: GroupId, sort_key: &str, row: &impl Serialize) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::to_item(row).map_err(|error| Error::Internal(error.into()))?;
    item.extend(key(group, sort_key));
    Ok(item)
}
