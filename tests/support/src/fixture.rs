//! The events of `events/`, changed where a test needs it, and handed to a route as Lambda would.

use std::{path::Path, time::SystemTime};

use chat_core::{Error, Reply, Request, lambda};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

/// How long a function has, as the template says.
const TIMEOUT_MS: u64 = 10_000;

/// An event of one route.
#[derive(Debug, Clone)]
pub struct Fixture {
    event: Value,
    timeout_ms: u64,
}

impl Fixture {
    /// The one of `events/NAME.json`.
    pub fn named(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name).with_extension("json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let event = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { event, timeout_ms: TIMEOUT_MS }
    }

    /// From this user instead, on a connection that is named like them.
    pub fn user(self, user: &str) -> Self {
        self.set("/requestContext/authorizer", json!({ "principalId": user, "userId": user })).connection(user)
    }

    /// On this connection instead.
    pub fn connection(self, connection_id: &str) -> Self {
        self.set("/requestContext/connectionId", json!(connection_id))
    }

    /// With this frame instead.
    pub fn frame(self, frame: &Value) -> Self {
        self.text(&frame.to_string())
    }

    /// With this text instead, JSON or not.
    pub fn text(self, frame: &str) -> Self {
        self.set("/body", json!(frame))
    }

    /// At this moment instead, in milliseconds since 1970.
    pub fn received_at(self, moment: i64) -> Self {
        self.set("/requestContext/requestTimeEpoch", json!(moment))
    }

    /// With another value at this place, a JSON pointer.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let parent = self.event.pointer_mut(parent).expect("the event has this place");
        parent.as_object_mut().expect("the event has an object there").insert(name.to_owned(), value);
        self
    }

    /// Without what stands there.
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let parent = self.event.pointer_mut(parent).expect("the event has this place");
        parent.as_object_mut().expect("the event has an object there").remove(name);
        self
    }

    /// With so much time for the function, in milliseconds.
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// As JSON.
    pub fn value(&self) -> &Value {
        &self.event
    }

    /// As Lambda hands it over.
    pub fn lambda<E: serde::de::DeserializeOwned>(&self) -> LambdaEvent<E> {
        let mut context = Context::default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        context.deadline = now.as_millis() as u64 + self.timeout_ms;
        LambdaEvent::new(serde_json::from_value(self.event.clone()).expect("the event is of this kind"), context)
    }
}

/// Asks a route, and gives the frame of its answer; null where there is none.
pub async fn invoke<T>(tools: &T, route: impl AsyncFn(&T, Request) -> Result<Reply, Error>, event: Fixture) -> Value {
    let answer =
        serde_json::to_value(lambda::handle_event(tools, event.lambda(), route).await).expect("an answer is JSON");
    assert_eq!(answer["statusCode"], 200, "what a client sees of another status is not documented: {answer}");
    answer["body"].as_str().map_or(Value::Null, |frame| serde_json::from_str(frame).expect("a frame is JSON"))
}

/// What every route must refuse, whatever its action, and as what: the frame, and the code of the error.
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
