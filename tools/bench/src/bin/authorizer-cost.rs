//! `authorizer-cost`: measures the time that token verification adds to `$connect`, compared with
//! open mode.
//!
//! `cargo build --workspace --bins && target/debug/authorizer-cost` runs the authorizer's release
//! binary as a process behind a Runtime API, measures all modes in turn and prints medians. The
//! issuer runs on this machine and serves plain HTTP. A real issuer adds three network round trips
//! to the first event: TCP, TLS and the request.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use support::{
    Fixture,
    jwt::{JwksServer, Key},
};
use ws_local::{
    event::EventSink,
    functions::{FunctionOptions, Functions},
    invoke::Invoke,
    template,
};

const FUNCTION: &str = "AuthorizerFunction";
const COLD_ROUNDS: usize = 40;
const WARM_ROUNDS: usize = 2_000;

/// One authentication mode: its function, an event with valid credentials, and the measured times.
struct Mode {
    name: &'static str,
    functions: Functions,
    event: Vec<u8>,
    cold: Vec<Duration>,
    warm: Vec<Duration>,
}

impl Mode {
    async fn new(name: &'static str, parameters: &[(&str, &str)], query: Value) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut stack = template::load(&path, &parameters).unwrap();
        stack.functions.retain(|id, _| id == FUNCTION);
        let options = FunctionOptions { release: true, ..FunctionOptions::default() };
        let functions = Functions::start(&stack, options, EventSink::default()).await.unwrap();
        let lists: serde_json::Map<_, _> =
            query.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        let event = Fixture::named("authorizer")
            .set("/queryStringParameters", query)
            .set("/multiValueQueryStringParameters", lists.into())
            .set("/requestContext/requestTimeEpoch", json!(now() * 1000));
        let event = event.value().to_string().into_bytes();
        Self { name, functions, event, cold: Vec::new(), warm: Vec::new() }
    }

    async fn authorize(&self) -> Duration {
        let began = Instant::now();
        let reply = self.functions.invoke(FUNCTION, self.event.clone()).await.unwrap();
        let took = began.elapsed();
        assert!(String::from_utf8(reply).unwrap().contains("\"Allow\""), "{}", self.name);
        took
    }

    /// Measures the first event of a process that has completed its initialization.
    async fn authorize_first(&mut self) {
        for process in self.functions.processes(FUNCTION) {
            process.kill();
            process.ended().await;
        }
        self.functions.warm(FUNCTION).await.unwrap();
        self.cold.push(self.authorize().await);
    }

    /// Processor time that the process has used so far.
    fn cpu_time(&self) -> Duration {
        let id = self.functions.processes(FUNCTION)[0].id();
        let nanoseconds = fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap();
        Duration::from_nanos(nanoseconds.split(' ').next().unwrap().parse().unwrap())
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let keys = [Key::rsa("RS256"), Key::p256("ES256"), Key::ed25519("EdDSA")];
    let issuer = JwksServer::start(&keys.each_ref()).await;
    let claims = json!({ "iss": "https://issuer.example/", "aud": "chat", "sub": "alice", "exp": now() + 36_000 });
    let jwt = [
        ("AuthMode", "jwt"),
        ("JwtJwksUrl", issuer.url.as_str()),
        ("JwtIssuer", "https://issuer.example/"),
        ("JwtAudience", "chat"),
    ];
    let mut modes = vec![Mode::new("open", &[("AuthMode", "open")], json!({ "userId": "alice" })).await];
    for key in &keys {
        modes.push(Mode::new(key.id, &jwt, json!({ "token": key.token(&claims) })).await);
    }
    for _ in 0..COLD_ROUNDS {
        for mode in &mut modes {
            mode.authorize_first().await;
        }
    }
    let cpu: Vec<_> = modes.iter().map(Mode::cpu_time).collect();
    for _ in 0..WARM_ROUNDS {
        for mode in &mut modes {
            let took = mode.authorize().await;
            mode.warm.push(took);
        }
    }
    println!("        first event  later event  CPU, later event");
    for (mode, before) in modes.iter_mut().zip(cpu) {
        let cpu = (mode.cpu_time() - before) / WARM_ROUNDS as u32;
        let (cold, warm) = (median(&mut mode.cold), median(&mut mode.warm));
        println!("{:6}  {cold:>11.2?}  {warm:>11.2?}  {cpu:>11.2?}", mode.name);
        mode.functions.stop().await;
    }
    assert_eq!(issuer.fetches(), COLD_ROUNDS * keys.len(), "only the first token of a process fetches the keys");
}
