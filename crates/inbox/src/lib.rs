//! Answers one page of the caller's conversations.

#![warn(clippy::unwrap_used)]

use std::cmp::Reverse;

use chat_core::{
    Error, Reply, Request,
    conversation::ConversationId,
    conversations::{Conversations, Marks},
    frames::{GetConversations, Inbox, PAGE_BYTES, Place, Summary, json_length},
    messages::Messages,
    tally::Newest,
    user::UserId,
};
use futures_util::{StreamExt, TryStreamExt, stream};

/// What an inbox works with.
pub type Chat = (Conversations, Messages);

/// How many newest messages are read at once; a page that the caller asks no special length of needs 51.
const AT_ONCE: usize = 64;
/// A message as young as this, in milliseconds, may have moved its conversation while it was being looked for.
const MAY_BE_MOVING_MS: i64 = 60_000;

/// The conversations whose newest messages are of the newest hours; on the page, the newest message first.
///
/// # Errors
/// [`Error::BadRequest`] where the frame is not a `getConversations`, and those of DynamoDB.
pub async fn handle(chat: &Chat, request: Request) -> Result<Reply, Error> {
    let GetConversations { limit, start_key } = request.body()?;
    Ok(Reply::Conversations(page(chat, &request, limit.unwrap_or_default().get(), start_key).await?))
}

async fn page(chat: &Chat, request: &Request, limit: usize, start_key: Option<Place>) -> Result<Inbox, Error> {
    let mut found: Vec<(Place, Summary)> = Vec::new();
    let mut place = start_key;
    // One more than asked for tells whether more follow. Once round, unless there are entries that show nothing.
    while found.len() <= limit {
        let places = chat.0.places(&request.user, place.as_ref(), limit + 1).await?;
        let last = places.last().filter(|_| places.len() > limit).cloned();
        for (place, summary) in look(chat, request, places).await? {
            if found.iter().all(|(_, known)| known.peer_id != summary.peer_id) {
                found.push((place, summary));
            }
        }
        match last {
            Some(last) => place = Some(last),
            None => break,
        }
    }
    let mut bytes = 0;
    let fit = found.iter().take(limit).take_while(|(_, summary)| {
        bytes += json_length(summary) + 1;
        bytes <= PAGE_BYTES
    });
    let shown = fit.count();
    let more = shown < found.len();
    found.truncate(shown);
    let last_evaluated_key = found.last().filter(|_| more).map(|(place, _)| place.clone());
    let mut conversations: Vec<_> = found.into_iter().map(|(_, summary)| summary).collect();
    conversations.sort_by_key(|conversation| Reverse(conversation.last_message.created_at));
    Ok(Inbox { conversations, last_evaluated_key })
}

/// What there is to show at these places, by one step of calls.
async fn look(
    (conversations, messages): &Chat,
    request: &Request,
    places: Vec<Place>,
) -> Result<Vec<(Place, Summary)>, Error> {
    let user = &request.user;
    let newest = stream::iter(&places)
        .map(|place| async { messages.newest(&ConversationId::between(user, &place.peer_id)).await })
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>();
    let (newest, marks) = tokio::try_join!(newest, conversations.marks(user, places.iter().map(|it| &it.peer_id)))?;
    let shown = places.into_iter().zip(newest).filter_map(|(place, newest)| {
        let newest = newest.filter(|newest| counts(&place, newest, request))?;
        let summary = summary(user, place.peer_id.clone(), newest, &marks);
        Some((place, summary))
    });
    Ok(shown.collect())
}

/// Whether this is where the conversation stands. One that has just moved on may have done so between the two reads:
/// better it shows twice than not at all.
fn counts(place: &Place, newest: &Newest, request: &Request) -> bool {
    let moving = newest.message.created_at > request.received_at - MAY_BE_MOVING_MS;
    newest.tally.listed == place.listed || (newest.tally.listed > place.listed && moving)
}

fn summary(user: &UserId, peer_id: UserId, newest: Newest, marks: &Marks) -> Summary {
    let read_seq = newest.read_by(user, marks.of(user, &peer_id));
    Summary {
        read_seq,
        peer_read_seq: newest.read_by(&peer_id, marks.of(&peer_id, user)),
        // Who writes has read what was there before, so everything after is the other one's.
        unread: newest.message.seq.since(read_seq),
        conversation_id: newest.message.conversation_id.clone(),
        peer_id,
        last_message: newest.message,
    }
}
