//! `createGroup`, `changeGroup` and `getGroup`. A change of a group is an entry of its log, as a message is.

#![warn(clippy::unwrap_used)]

use std::ops::Bound;

use chat_core::{
    Error, Reply, Request,
    configuration::{Configuration, FromConfiguration, InvalidConfiguration},
    log::Log,
    model::{
        conversation::{GroupId, Recipient},
        draft::Draft,
        group::{Group, MemberLimit},
        json::json_length,
        user::UserId,
    },
    protocol::{
        deadline::in_time,
        replies::{GroupMember, GroupPage, OwnMembership, PAGE_BYTES},
        request::Origin,
        requests::{ChangeGroup, CreateGroup, GetGroup, KnownEnd},
    },
    store::{
        inboxes::{Inboxes, ReadPositions},
        members::Members,
    },
};

/// The maximum number of members on a page.
const PAGE_MEMBERS: usize = 100;

/// What this route works with.
#[derive(Debug)]
pub struct Context {
    log: Log,
    members: Members,
    inboxes: Inboxes,
    limit: MemberLimit,
}

impl FromConfiguration for Context {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self {
            log: Log::from_configuration(configuration)?,
            members: Members::from_configuration(configuration)?,
            inboxes: Inboxes::from_configuration(configuration)?,
            limit: MemberLimit::from_configuration(configuration)?,
        })
    }
}

/// Checks the frame; what is stored is the log's.
///
/// # Errors
/// [`Error::BadRequest`] if the frame is none of the three actions, those of [`Log::publish`], and [`Error::Forbidden`] if the
/// caller is not a member of the group.
pub async fn handle(context: &Context, request: Request) -> Result<Reply, Error> {
    match request.action()?.as_str() {
        "createGroup" => create(context, &request).await,
        "changeGroup" => change(context, &request).await,
        "getGroup" => in_time(&request, get(context, &request)).await,
        _ => Err(Error::UnknownAction),
    }
}

/// If the client gives the request an id, the group's id is made from it, so that a repeat creates no second group.
async fn create(context: &Context, request: &Request) -> Result<Reply, Error> {
    let mut frame: CreateGroup = request.body()?;
    let owner = frame.owner.take().filter(|_| request.origin == Origin::Backend);
    let client_message_id = frame.client_message_id.clone();
    let group = match &client_message_id {
        Some(id) => GroupId::of_request(&request.user, id.as_str()),
        None => GroupId::random(),
    };
    let authorship = request.authorship(client_message_id);
    let draft = Draft::group_change(authorship, group, frame.change(owner), context.limit)?;
    context.log.publish(request, &draft, &KnownEnd::Unknown).await
}

async fn change(context: &Context, request: &Request) -> Result<Reply, Error> {
    let mut frame: ChangeGroup = request.body()?;
    let known = KnownEnd::new(frame.last_seq, frame.position.take())?;
    let (group, authorship) = (frame.group_id, request.authorship(frame.client_message_id.take()));
    let draft = Draft::group_change(authorship, group, frame.change(), context.limit)?;
    context.log.publish(request, &draft, &known).await
}

/// The settings, and one page of the members, as of one entry.
async fn get(context: &Context, request: &Request) -> Result<Reply, Error> {
    let GetGroup { group_id, read_positions, start_key } = request.body()?;
    let (admission, group) = context.members.admit_with_group(request, group_id).await?;
    let from = start_key.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let rest: Vec<_> = group.members.range::<UserId, _>((from, Bound::Unbounded)).map(|(user, _)| user).collect();
    let candidates = &rest[..rest.len().min(PAGE_MEMBERS)];
    let positions = match read_positions {
        true => {
            let listings = candidates.iter().map(|user| ((*user).clone(), Recipient::Group(group_id)));
            Some(context.inboxes.read_positions(listings).await?)
        }
        false => None,
    };
    let mut bytes = 0;
    let members = candidates.iter().map(|user| member(&group, user, positions.as_ref())).take_while(|member| {
        bytes += json_length(member) + 1;
        bytes <= PAGE_BYTES
    });
    let members: Vec<_> = members.collect();
    let last_evaluated_key = members.last().filter(|_| members.len() < rest.len()).map(|last| last.user_id.clone());
    let you = group.members.get(&request.user);
    Ok(Reply::Group(GroupPage {
        conversation_id: admission.conversation,
        group_id,
        settings: group.settings.clone(),
        created_at: group.created_at,
        seq: group.version,
        count: group.members.len(),
        you: you.map(|member| OwnMembership { role: member.role, readable_from: member.readable_from }),
        members,
        last_evaluated_key,
    }))
}

fn member(group: &Group, user: &UserId, positions: Option<&ReadPositions>) -> GroupMember {
    let member = group.members[user];
    let read_seq = positions.map(|positions| positions.of(user, &Recipient::Group(group.id)).seq.max(member.at));
    GroupMember { user_id: user.clone(), role: member.role, at: member.at, read_seq }
}
