//! `Fixture`: an event from `events/`, with changes by a test, in the form in which Lambda passes
//! it to a route.

use std::{path::Path, time::SystemTime};

use chat_core::{Error, Reply, Request, lambda};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

/// The functions' `Timeout` in the template.
const TIMEOUT_MS: u64 = 10_000;

#[derive(Debug, Clone)]
pub struct Fixture {
    event: Value,
    timeout_ms: u64,
}

impl Fixture {
    /// Reads `events/NAME.json`.
    pub fn named(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name).with_extension("json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let event = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { event, timeout_ms: TIMEOUT_MS }
    }

    /// Sets the user, and a connection id equal to the user id.
    pub fn user(self, user: &str) -> Self {
        let encoded = in_context(user);
        self.set("/requestContext/authorizer", json!({ "principalId": encoded, "userId": encoded })).connection(user)
    }

    /// Sets the connection id.
    pub fn connection(self, connection_id: &str) -> Self {
        self.set("/requestContext/connectionId", json!(connection_id))
    }

    /// Sets the body to this frame.
    pub fn frame(self, frame: &Value) -> Self {
        self.text(&frame.to_string())
    }

    /// Sets the body to this text, which need not be JSON.
    pub fn text(self, frame: &str) -> Self {
        self.set("/body", json!(frame))
    }

    /// Sets the request time, in milliseconds since the Unix epoch.
    pub fn received_at(self, moment: i64) -> Self {
        self.set("/requestContext/requestTimeEpoch", json!(moment))
    }

    /// Sets the value at a JSON pointer.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let parent = self.event.pointer_mut(parent).expect("the event has this place");
        parent.as_object_mut().expect("the event has an object there").insert(name.to_owned(), value);
        self
    }

    /// Removes the member at a JSON pointer.
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let parent = self.event.pointer_mut(parent).expect("the event has this place");
        parent.as_object_mut().expect("the event has an object there").remove(name);
        self
    }

    /// Sets the time until the function's deadline, in milliseconds.
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// The event as JSON.
    pub fn value(&self) -> &Value {
        &self.event
    }

    /// The event as the Lambda runtime passes it.
    pub fn lambda<E: serde::de::DeserializeOwned>(&self) -> LambdaEvent<E> {
        let mut context = Context::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        context.deadline = now.as_millis() as u64 + self.timeout_ms;
        LambdaEvent::new(serde_json::from_value(self.event.clone()).expect("the event is of this kind"), context)
    }
}

/// A user id as the authorizer's context holds it: percent-encoded, but for letters, digits and `-._~@`.
pub fn in_context(user: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    user.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The id of the direct conversation of two users, written out as docs/protocol.md describes it.
pub fn conversation_id(one: &str, other: &str) -> String {
    let (smaller, larger) = if one <= other { (one, other) } else { (other, one) };
    format!("dm:{}:{smaller}:{larger}", smaller.len())
}

/// Invokes a route and returns the frame of its reply; null if there is none.
pub async fn invoke<C>(context: &C, route: impl AsyncFn(&C, Request) -> Result<Reply, Error>, event: Fixture) -> Value {
    // Boxed: in a debug build, the futures of routes fill the stack of a test.
    let handled = Box::pin(lambda::handle_event(context, event.lambda(), route)).await;
    let response = serde_json::to_value(handled.response).expect("a response is JSON");
    assert_eq!(response["statusCode"], 200, "what a client gets for another status is not documented: {response}");
    response["body"].as_str().map_or(Value::Null, |frame| serde_json::from_str(frame).expect("a frame is JSON"))
}

/// Frames that every route must refuse, each with the expected error code.
pub fn broken_frames() -> Vec<(String, &'static str)> {
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(200), close.repeat(200));
    let mut frames: Vec<_> =
        ["", " ", "nonsense", "\0", "null", "42", "\"sendMessage\"", "[]", "[\"alice\"]", "{", "{}{}", "{\"action\""]
            .into_iter()
            .map(str::to_owned)
            .collect();
    frames.push("\\".repeat(32 * 1024));
    frames.push(format!("\"{}\"", "\\u0001".repeat(5_000)));
    frames.push(nested("[", "]"));
    frames.push(nested("{\"a\":", "}"));
    frames.push("{\"action\":\"ping\",\"ref\":7}".to_owned());
    frames.push(format!("{{\"action\":\"ping\",\"ref\":\"{}\"}}", "x".repeat(65)));
    frames.push("{\"action\":\"\\ud800\"}".to_owned());
    frames.into_iter().map(|frame| (frame, "bad_request")).collect()
}
