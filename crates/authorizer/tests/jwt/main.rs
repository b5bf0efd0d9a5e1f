//! The authorizer in JWT mode, with an issuer on this machine that counts fetches.

mod attacks;
mod forged;
mod fuzz;
mod keys;
mod log;
mod system;

use authorizer::Context;
use chat_core::lambda;
use serde_json::{Value, json};
use support::{FakeAws, Fixture};

use support::jwt::JwksServer;

/// The time of the events, in seconds since the Unix epoch.
const NOW: i64 = 1_793_535_556;

/// An authorizer that accepts this issuer's tokens.
async fn authorizer(issuer: &JwksServer, more: &[(&str, &str)]) -> Context {
    let jwt = [
        ("AUTH_MODE", "jwt"),
        ("JWT_JWKS_URL", issuer.url.as_str()),
        ("JWT_ISSUER", "https://issuer.example/"),
        ("JWT_AUDIENCE", "chat"),
    ];
    FakeAws::start().await.try_context(&[&jwt[..], more].concat()).unwrap()
}

/// The claims of a valid token at a time in seconds since the Unix epoch.
#[derive(Clone, Copy)]
struct Claims {
    now: i64,
    /// How many seconds later the token may be checked.
    lasting: i64,
}

impl Claims {
    fn claims(self) -> Value {
        json!({ "iss": "https://issuer.example/", "aud": "chat", "sub": "alice", "exp": self.now + 3600 })
    }

    /// With one claim added or replaced.
    fn claiming(self, name: &str, value: impl Into<Value>) -> Value {
        let mut claims = self.claims();
        claims[name] = value.into();
        claims
    }

    fn without(self, name: &str) -> Value {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }
}

/// The claims of a valid token at [`NOW`].
fn claims() -> Value {
    Claims { now: NOW, lasting: 0 }.claims()
}

/// As [`claims`], with one claim added or replaced.
fn claiming(name: &str, value: impl Into<Value>) -> Value {
    Claims { now: NOW, lasting: 0 }.claiming(name, value)
}

/// A connection attempt with these query parameters.
fn request(query: &[(&str, &str)]) -> Fixture {
    let mut event = Fixture::named("authorizer")
        .set("/queryStringParameters", json!({}))
        .set("/multiValueQueryStringParameters", json!({}));
    for (name, _) in query {
        let values: Vec<_> = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect();
        event = event.set(&format!("/queryStringParameters/{name}"), json!(values.last()));
        event = event.set(&format!("/multiValueQueryStringParameters/{name}"), json!(values));
    }
    event
}

/// The event with these subprotocols offered.
fn offering(event: Fixture, header: &str) -> Fixture {
    event
        .set("/headers/Sec-WebSocket-Protocol", json!(header))
        .set("/multiValueHeaders/Sec-WebSocket-Protocol", json!([header]))
}

fn at(event: Fixture, seconds: i64) -> Fixture {
    event.set("/requestContext/requestTimeEpoch", json!(seconds * 1000))
}

/// The status that API Gateway derives from the response, and the context.
async fn status(authorizer: &Context, event: Fixture) -> (u16, Value) {
    match lambda::authorize(authorizer, event.lambda(), authorizer::handle).await.response {
        Ok(policy) => {
            let policy = serde_json::to_value(policy).unwrap();
            let allowed = policy["policyDocument"]["Statement"][0]["Effect"] == "Allow";
            (if allowed { 200 } else { 403 }, policy["context"].clone())
        }
        Err(diagnostic) if diagnostic.error_message == "Unauthorized" => (401, Value::Null),
        Err(diagnostic) => (500, json!(diagnostic.error_message)),
    }
}

/// Connects by `?token=`.
async fn connect(authorizer: &Context, token: &str) -> u16 {
    status(authorizer, request(&[("token", token)])).await.0
}
