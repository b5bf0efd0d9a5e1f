//! Log lines of the real functions, read from the standard output of their processes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    ChatClient, DynamoDbProxy, Local, Outcome, User,
    jwt::{JwksResponse, JwksServer, Key},
};
use tokio::{sync::watch, time::timeout};
use ws_local::{
    event::{Event, EventSink},
    functions::FunctionOptions,
    system::SystemOptions,
};

use crate::embedded::{metrics, parse};

/// Time-out for a line from a process.
const PATIENCE: Duration = Duration::from_secs(30);

/// Trace ids that the functions receive and lines that they print, each in order.
#[derive(Clone)]
struct Output {
    lines: Arc<Mutex<Vec<(String, String)>>>,
    traces: Arc<Mutex<Vec<(String, String)>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Output {
    fn observe(&self, event: Event) {
        match event {
            Event::Printed { process, line } => {
                self.lines.lock().unwrap().push((process.function, line));
                self.count.send_modify(|count| *count += 1);
            }
            Event::InvocationSent { process, trace_id } => {
                self.traces.lock().unwrap().push((process.function, trace_id));
            }
            _ => {}
        }
    }

    /// Waits for the first line from this function that satisfies `is_it`, and returns it.
    async fn line(&self, function: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut count = self.count.subscribe();
        let found = async {
            loop {
                count.borrow_and_update();
                let lines = self.lines.lock().unwrap().clone();
                let mut lines = lines.iter().filter(|(name, _)| name == function).map(|(_, line)| parse(line));
                if let Some(line) = lines.find(|line| is_it(line)) {
                    return line;
                }
                count.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{:?}", self.lines.lock().unwrap()))
    }

    /// The trace id of the newest event of this function.
    fn trace(&self, function: &str) -> String {
        let traces = self.traces.lock().unwrap();
        let (_, header) = traces.iter().rfind(|(name, _)| name == function).unwrap();
        header.split(';').find_map(|part| part.strip_prefix("Root=")).unwrap().to_owned()
    }
}

/// Starts the complete local system. Its functions log as on Lambda, at this level.
async fn start(level: &str) -> (Local, DynamoDbProxy, Output) {
    start_with(level, |_| {}).await
}

async fn start_with(level: &str, change: impl FnOnce(&mut SystemOptions)) -> (Local, DynamoDbProxy, Output) {
    let proxy = DynamoDbProxy::unbound().await;
    let output = Output { lines: Arc::default(), traces: Arc::default(), count: Arc::new(watch::Sender::new(0)) };
    let environment = [
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", level),
        ("AWS_ENDPOINT_URL_DYNAMODB", proxy.url()),
    ];
    let environment: BTreeMap<_, _> = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let observed = output.clone();
    let local = Local::start_with(|options| {
        options.functions = FunctionOptions { environment, ..FunctionOptions::default() };
        options.events = EventSink::new(move |event| observed.observe(event));
        change(options);
    })
    .await;
    proxy.set_upstream(local.dynamodb().to_owned());
    (local, proxy, output)
}

#[tokio::test]
async fn each_event_is_one_log_line_with_its_metrics() {
    let (chat, _proxy, output) = start("INFO").await;
    let (alice, bob) = (chat.connect("alice").await, chat.connect("bob").await);
    alice.send("bob", "xyzzy", json!({})).await.unwrap();
    bob.next_message().await;

    let line = output.line("SendFunction", |line| line["route"] == "sendMessage").await;
    let counted: Vec<_> = metrics(&line).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(counted, ["Stored", "Attempts", "Pushed", "Bytes", "TimeToStored", "TimeToPushed"]);
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "local", "the name of the stack");
    assert_eq!(line["traceId"], output.trace("SendFunction"));
    assert!(line["initMs"].as_f64().unwrap() > 0.0);
    for (function, route) in [("AuthorizerFunction", "authorizer"), ("ConnectFunction", "$connect")] {
        output.line(function, |line| line["route"] == route && line["outcome"] == "ok").await;
    }
    chat.stop().await;

    let lines = output.lines.lock().unwrap();
    let of = |function: &str| lines.iter().filter(|(name, _)| name == function).count();
    assert_eq!((of("SendFunction"), of("AuthorizerFunction"), of("ConnectFunction")), (1, 2, 2), "{lines:?}");
    for (_, line) in lines.iter() {
        assert!(!line.contains("xyzzy") && !line.contains("alice") && !line.contains("bob"), "{line}");
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_trace_id_at_any_level() {
    for (level, line_count) in [("INFO", 2), ("ERROR", 1)] {
        let (chat, proxy, output) = start(level).await;
        let alice = chat.connect("alice").await;
        proxy.inject(|_| Outcome::Fail(400, "ResourceNotFoundException"));
        assert_eq!(alice.send("bob", "Hi", json!({})).await.unwrap_err().code, "internal");

        let line = output.line("SendFunction", |line| line["level"] == "ERROR").await;
        assert_eq!(line["message"], "a request failed");
        assert!(line["cause"].as_str().unwrap().contains("ResourceNotFoundException"), "{line}");
        assert_eq!(line["span"]["traceId"], output.trace("SendFunction"), "{line}");
        assert!(line["span"]["requestId"].as_str().unwrap().len() == 36, "{line}");
        assert_eq!(line["span"]["function"], "SendFunction");
        if level == "INFO" {
            let own = output.line("SendFunction", |line| line["route"] == "sendMessage").await;
            assert_eq!((&own["outcome"], &own["requestId"]), (&json!("internal"), &line["span"]["requestId"]));
        }
        chat.stop().await;
        let lines = output.lines.lock().unwrap();
        assert_eq!(lines.iter().filter(|(name, _)| name == "SendFunction").count(), line_count, "{lines:?}");
    }
}

#[tokio::test]
async fn users_with_any_name_talk_and_every_line_stays_json() {
    let (chat, _proxy, output) = start("INFO").await;
    let names = ["李雷", "مريم", "🦀 crab", "a\"b\\c", "100%41", "<i>'x'</i>"];
    for (sender, recipient) in names.iter().zip(names.iter().cycle().skip(1)) {
        let (from, to) = (chat.connect(sender).await, chat.connect(recipient).await);
        from.send(recipient, "Hello!", json!({})).await.unwrap();
        let message = to.next_message().await;
        assert_eq!((message.sender_id.as_str(), message.recipient_id.as_str()), (*sender, *recipient));
        to.mark_read(sender, message.seq).await.unwrap();
        let inbox = to.conversations(json!({})).await.unwrap().conversations;
        assert_eq!((inbox[0].peer_id.as_str(), inbox[0].unread), (*sender, 0));
        tokio::join!(from.close(), to.close());
    }
    chat.stop().await;
    let lines = output.lines.lock().unwrap();
    for (_, line) in lines.iter() {
        assert_eq!(parse(line)["outcome"], "ok", "{line}");
    }
    assert!(lines.len() > 5 * names.len(), "{lines:?}");
}

#[tokio::test]
async fn a_refused_token_is_no_error_and_a_fault_of_the_authorizer_is_one_line() {
    for (keys, outcome, level) in [
        (JwksResponse::Keys(vec![Key::ed25519("other").jwk()]), "unauthenticated", "INFO"),
        (JwksResponse::Text(500, String::new()), "unavailable", "ERROR"),
    ] {
        let issuer = JwksServer::start(&[]).await;
        issuer.respond_with(keys);
        let (chat, _proxy, output) = start_with("INFO", |options| {
            for (name, value) in
                [("AuthMode", "jwt"), ("JwtJwksUrl", &issuer.url), ("JwtIssuer", "issuer"), ("JwtAudience", "chat")]
            {
                options.parameters.insert(name.to_owned(), value.to_owned());
            }
        })
        .await;
        let token = Key::ed25519("ed").token(&json!({ "sub": "alice" }));
        assert!(ChatClient::connect_as(chat.websocket(), &User::with_token("alice", &token)).await.is_err());
        output.line("AuthorizerFunction", |line| line["outcome"] == outcome).await;
        chat.stop().await;
        let lines = output.lines.lock().unwrap();
        let levels: Vec<_> = lines.iter().map(|(_, line)| parse(line)["level"].clone()).collect();
        // The line with the reason, and the line about the invocation.
        assert_eq!(levels, [level, "INFO"], "{lines:?}");
    }
}
