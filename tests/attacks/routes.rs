//! `Route`: a route as an attacker sees it.

use std::{collections::BTreeSet, pin::Pin, rc::Rc};

use chat_core::{Error, Reply, Request, configuration::FromConfiguration, lambda};
use serde_json::Value;
use support::{FakeAws, Fixture};

/// Error codes that a client can cause: all except those for faults in the service.
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
/// Types of all replies other than `error`.
const REPLIES: [&str; 7] = ["sent", "messages", "conversations", "read", "group", "presence", "pong"];

/// A route bound to its context, ready to handle events.
pub(crate) struct Route {
    /// The name of its event in `events/`.
    pub(crate) name: &'static str,
    run: Box<dyn Fn(Fixture) -> Response>,
}

type Response = Pin<Box<dyn Future<Output = Value>>>;

/// All routes, using these tables. Add every new route here.
pub(crate) fn all(aws: &FakeAws) -> Vec<Route> {
    vec![
        Route::new(aws, "send", send::handle),
        Route::new(aws, "history", history::handle),
        Route::new(aws, "inbox", inbox::handle),
        Route::new(aws, "read", read::handle),
        Route::new(aws, "edit", edit::handle),
        Route::new(aws, "group", group::handle),
        Route::new(aws, "presence", presence::handle),
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
        // Rate limits have their own tests. Thousands of events at once would exceed the defaults.
        let limits = [("MESSAGE_RATE", "1000"), ("MESSAGE_BURST", "100000")];
        let context = aws.try_context::<T>(&limits).expect("every variable is set");
        let shared = Rc::new((context, handle));
        let run = move |event: Fixture| -> Response {
            let shared = Rc::clone(&shared);
            Box::pin(async move {
                let (context, handle) = &*shared;
                let answer = lambda::handle_event(context, event.lambda(), async |context: &T, request| {
                    // A client does not learn the cause of a fault in the service.
                    handle(context, request).await.inspect_err(|error| {
                        if let Error::Internal(cause) | Error::Unavailable(cause) = error {
                            println!("{name}: {cause:?}");
                        }
                    })
                });
                serde_json::to_value(answer.await.response).unwrap()
            })
        };
        Self { name, run: Box::new(run) }
    }

    /// The response to API Gateway: `{statusCode, headers, body}`.
    pub(crate) async fn respond(&self, event: Fixture) -> Value {
        (self.run)(event).await
    }

    /// The frame in a response; null if there is none. Panics if the frame is invalid.
    #[track_caller]
    pub(crate) fn frame(&self, answer: &Value) -> Value {
        let name = self.name;
        let Some(text) = answer["body"].as_str() else {
            // A `typing` that succeeds has no reply.
            assert!(matches!(name, "connect" | "disconnect" | "presence"), "{name} answers every frame: {answer}");
            return Value::Null;
        };
        assert_eq!(answer["statusCode"], 200, "{name}: the effect of another status is not documented");
        let frame: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        match frame["type"].as_str().unwrap_or_default() {
            "error" => {
                let (code, message) = (frame["code"].as_str().unwrap(), frame["message"].as_str().unwrap());
                assert!(REFUSALS.contains(&code), "{name}: a client caused {frame}");
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
    // No client reaches the other two by a frame.
    let routes: BTreeSet<_> = functions.filter(|name| name != "authorizer" && name != "api").collect();
    assert_eq!(attacked, routes, "tests/attacks/routes.rs attacks the functions on the left: add the others to `all`");
}
