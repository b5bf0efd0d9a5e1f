//! Every route, as an attacker sees it.

use std::{collections::BTreeSet, pin::Pin, rc::Rc};

use chat_core::{Error, Reply, Request, configuration::FromConfiguration, lambda};
use serde_json::Value;
use support::{FakeAws, Fixture};

/// What stands in an error frame's `code`, but for faults of ours: no client may bring one about.
const REFUSALS: [&str; 8] = [
    "bad_request",
    "too_large",
    "unknown_action",
    "unauthenticated",
    "token_expired",
    "forbidden",
    "out_of_date",
    "rate_limited",
];
/// What every other frame's `type` is.
const REPLIES: [&str; 5] = ["sent", "messages", "conversations", "read", "pong"];

/// One route with what it works with.
pub(crate) struct Route {
    /// Its event in `events/`.
    pub(crate) name: &'static str,
    run: Box<dyn Fn(Fixture) -> Answering>,
}

type Answering = Pin<Box<dyn Future<Output = Value>>>;

/// All of them, on these tables. A new route is one line more.
pub(crate) fn all(aws: &FakeAws) -> Vec<Route> {
    vec![
        Route::new(aws, "send", send::handle),
        Route::new(aws, "history", history::handle),
        Route::new(aws, "inbox", inbox::handle),
        Route::new(aws, "read", read::handle),
        Route::new(aws, "fallback", fallback::handle),
        Route::new(aws, "connect", connect::handle),
        Route::new(aws, "disconnect", disconnect::handle),
    ]
}

impl Route {
    fn new<T, R>(aws: &FakeAws, name: &'static str, handle: R) -> Self
    where
        T: FromConfiguration + 'static,
        R: AsyncFn(&T, Request) -> Result<Reply, Error> + 'static,
    {
        // Thousands of events at one moment must not meet the limits, which have their own tests.
        let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000")];
        let context = aws.try_context::<T>(&limits).expect("every variable is set");
        let shared = Rc::new((context, handle));
        let run = move |event: Fixture| -> Answering {
            let shared = Rc::clone(&shared);
            Box::pin(async move {
                let (tools, handle) = &*shared;
                let answer = lambda::handle_event(tools, event.lambda(), async |tools: &T, request| {
                    handle(tools, request).await
                });
                serde_json::to_value(answer.await.response).unwrap()
            })
        };
        Self { name, run: Box::new(run) }
    }

    /// What API Gateway gets: `{statusCode, headers, body}`.
    pub(crate) async fn answer(&self, event: Fixture) -> Value {
        (self.run)(event).await
    }

    /// What a client sees of it, which must be a frame of the protocol: the frame, or null where there is none.
    #[track_caller]
    pub(crate) fn frame(&self, answer: &Value) -> Value {
        let name = self.name;
        let Some(text) = answer["body"].as_str() else {
            assert!(matches!(name, "connect" | "disconnect"), "{name} answers every frame: {answer}");
            return Value::Null;
        };
        assert_eq!(answer["statusCode"], 200, "{name}: what becomes of another status is not documented");
        let frame: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        match frame["type"].as_str().unwrap_or_default() {
            "error" => {
                let (code, message) = (frame["code"].as_str().unwrap(), frame["message"].as_str().unwrap());
                assert!(REFUSALS.contains(&code), "{name}: a client brought about {frame}");
                assert!((1..400).contains(&message.len()), "{name}: {frame}");
                assert!(!message.contains("Exception"), "{name}: {frame}");
            }
            other => assert!(REPLIES.contains(&other), "{name}: {frame}"),
        }
        frame
    }
}

#[tokio::test]
async fn every_route_is_attacked() {
    let aws = FakeAws::start().await;
    let attacked: BTreeSet<_> = all(&aws).into_iter().map(|route| route.name.to_owned()).collect();
    let functions = support::stack().functions.into_values().filter_map(|function| function.binary);
    let routes: BTreeSet<_> = functions.filter(|name| name != "authorizer").collect();
    assert_eq!(attacked, routes, "tests/attacks/routes.rs attacks the functions on the left: add the others to `all`");
}
