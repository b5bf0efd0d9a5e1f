//! From JSON to requests, and from replies and errors to JSON.

use serde::{Deserialize, Serialize};

use crate::{
    model::{entry::Entry, error::Error, message::Message},
    protocol::{
        position::Position,
        replies::{ReadReceipt, Reply, Typing},
    },
};

/// The client's id for a request, at most 64 bytes. The reply carries the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Ref(String);

impl TryFrom<String> for Ref {
    type Error = RefTooLong;

    fn try_from(name: String) -> Result<Self, RefTooLong> {
        if name.len() <= 64 { Ok(Self(name)) } else { Err(RefTooLong) }
    }
}

/// The `ref` has more than 64 bytes.
#[derive(Debug, thiserror::Error)]
#[error("a ref has at most 64 bytes")]
pub struct RefTooLong;

/// The fields that every frame of a client can have, whatever its action.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JSON object")]
pub struct Envelope {
    /// The field `ref`.
    #[serde(rename = "ref")]
    pub reference: Option<Ref>,
}

/// Parses a frame of a client.
///
/// # Errors
/// [`Error::BadRequest`], which names the field and the fault.
pub fn parse<'de, T: Deserialize<'de>>(frame: &'de str) -> Result<T, Error> {
    // serde's derived structs also accept an array of their fields.
    if !frame.trim_start().starts_with('{') {
        return Err(Error::bad_request("a frame is one JSON object, such as {\"action\":\"ping\"}"));
    }
    let mut json = serde_json::Deserializer::from_str(frame);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let cause = cause(error.inner(), frame);
        let named = !matches!(error.path().iter().next(), None | Some(serde_path_to_error::Segment::Unknown));
        Error::bad_request(if named { format!("{}: {cause}", error.path()) } else { cause })
    })?;
    json.end().map_err(|error| Error::bad_request(error.to_string()))?;
    Ok(parsed)
}

/// What is wrong. The place in the text is left out if the JSON is valid.
fn cause(error: &serde_json::Error, frame: &str) -> String {
    let text = error.to_string();
    if serde_json::from_str::<serde_json::Value>(frame).is_err() {
        return text;
    }
    // `serde_json` calls a number in the place of an enum a fault of the JSON. All enums of frames are strings.
    if error.is_syntax() {
        return "expected a string".to_owned();
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The frame that answers a caller; none for [`Reply::Nothing`] and [`Reply::Connected`].
pub fn encode_reply(reply: &Result<Reply, Error>, reference: Option<&Ref>) -> Option<String> {
    #[derive(Serialize)]
    struct Frame<'a, V> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<V>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
    }

    Some(match reply {
        Ok(Reply::Nothing | Reply::Connected(_)) => return None,
        Ok(Reply::Pong) => json(&Frame::<()> { r#type: "pong", value: None, reference }),
        Ok(Reply::Sent(sent)) => json(&Frame { r#type: "sent", value: Some(sent), reference }),
        Ok(Reply::Messages(page)) => json(&Frame { r#type: "messages", value: Some(page), reference }),
        Ok(Reply::Conversations(page)) => json(&Frame { r#type: "conversations", value: Some(page), reference }),
        Ok(Reply::Read(receipt)) => json(&Frame { r#type: "read", value: Some(receipt), reference }),
        Ok(Reply::Group(group)) => json(&Frame { r#type: "group", value: Some(group), reference }),
        Ok(Reply::Disconnected(closed)) => json(&Frame { r#type: "disconnected", value: Some(closed), reference }),
        Ok(Reply::Presence(presence)) => json(&Frame { r#type: "presence", value: Some(presence), reference }),
        Err(error) => encode_error(error, reference),
    })
}

/// An `error` frame.
pub fn encode_error(error: &Error, reference: Option<&Ref>) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        code: &'static str,
        message: &'a str,
        #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
        retry_after: Option<i64>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a Ref>,
    }

    let (code, message, retry_after) = (error.code(), &*error.message(), error.retry_after_ms());
    json(&Frame { r#type: "error", code, message, retry_after, reference })
}

/// A `message` frame, for connections that did not ask. `changed` is the message that the entry is about.
pub fn encode_entry_push(entry: &Entry, changed: Option<&Message>, position: Option<&Position>) -> String {
    json(&Push { r#type: "message", value: entry, changed, position })
}

/// A `read` frame, for connections that did not ask.
pub fn encode_receipt_push(receipt: &ReadReceipt) -> String {
    json(&Push { r#type: "read", value: receipt, changed: None, position: None })
}

/// A `typing` frame, for connections that did not ask.
pub fn encode_typing_push(typing: &Typing) -> String {
    json(&Push { r#type: "typing", value: typing, changed: None, position: None })
}

#[derive(Serialize)]
struct Push<'a, V> {
    r#type: &'static str,
    value: &'a V,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'a Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'a Position>,
}

fn json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("a frame holds strings and numbers, which are always JSON")
}
