//! The log line of one invocation, and its metrics, for each outcome of a request.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chat_core::{
    Error, Reply, Request,
    lambda::{self, Handled, LogSettings, RequestLog},
};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome};
use tokio::sync::Notify;
use tracing::Level;

use crate::embedded::{metrics, parse};

/// Value of Lambda's trace header. `TRACE_ID` is the id in it.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
const TRACE_ID: &str = "1-5759e988-bd862e3fe1be46a994272793";
/// Time between receipt of a request by API Gateway and its handling, in milliseconds.
const AGO: i64 = 5_000;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn log(namespace: Option<&str>) -> RequestLog {
    let log = LogSettings { level: Level::INFO, json: true };
    RequestLog::new(&log, namespace.map(str::to_owned), Duration::from_micros(7_649))
}

fn lambda_event<E: serde::de::DeserializeOwned>(event: &Fixture) -> LambdaEvent<E> {
    let mut event = event.lambda();
    event.context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
    event.context.xray_trace_id = Some(TRACE.to_owned());
    event
}

/// The line as it is written to standard output.
fn written<A: Serialize>(log: &RequestLog, handled: &Handled<A>) -> String {
    let line = String::from_utf8(log.format(&handled.entry).expect("a line is written")).unwrap();
    assert_eq!((line.matches('\n').count(), line.ends_with('\n')), (1, true), "{line}");
    line
}

/// Alice as the sender, with connections that were opened an hour ago.
struct Sender {
    aws: FakeAws,
    context: send::Context,
    log: RequestLog,
}

impl Sender {
    async fn with(connections: &[(&str, &str)]) -> Self {
        let aws = FakeAws::start().await;
        for (user, connection) in connections {
            aws.put_connection(user, connection, now() - 3_600_000);
        }
        let (context, log) = (aws.context(), log(Some("chat")));
        Self { aws, context, log }
    }

    /// The length of a route's reply in bytes, and its log line.
    async fn line<T>(
        &self,
        context: &T,
        event: &Fixture,
        route: impl AsyncFn(&T, Request) -> Result<Reply, Error>,
    ) -> (u64, Value) {
        let handled = lambda::handle_message(context, &self.aws.context(), lambda_event(event), route).await;
        let answer = serde_json::to_value(&handled.response).unwrap();
        let line = parse(&written(&self.log, &handled));
        (answer["body"].as_str().unwrap_or_default().len() as u64, line)
    }

    /// Sends a frame. Returns the metrics that are not zero, except times. `Bytes` counts only
    /// pushes, not the reply.
    async fn count(&self, frame: &Value) -> BTreeMap<String, u64> {
        let (bytes, line) = self.line(&self.context, &send(frame), send::handle).await;
        let mut counted: BTreeMap<_, _> = metrics(&line).into_iter().map(|(name, _, value)| (name, value)).collect();
        counted.entry("Bytes".to_owned()).and_modify(|all| *all -= bytes);
        counted.retain(|name, value| !name.starts_with("TimeTo") && *value > 0);
        counted
    }
}

fn send(frame: &Value) -> Fixture {
    Fixture::named("send").user("alice").frame(frame).received_at(now() - AGO)
}

fn hello() -> Value {
    json!({ "recipientId": "bob", "content": "Hello, Bob!", "clientMessageId": "first", "lastSeq": 0 })
}

fn counted(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn appends(call: &Call) -> bool {
    call.operation == "PutItem" && call.body["TableName"] == "MessagesTable"
}

/// The length of all pushed frames in bytes.
fn pushed_bytes(aws: &FakeAws) -> u64 {
    // Parsing may reorder the fields, which does not change the length.
    aws.connections.take_pushes().iter().map(|push| push.frame.to_string().len() as u64).sum()
}

#[tokio::test]
async fn a_stored_and_pushed_message_is_one_line_with_its_metrics_and_trace_id() {
    let sender = Sender::with(&[("alice", "alice"), ("bob", "bob")]).await;
    let (answer, mut line) = sender.line(&sender.context, &send(&hello()), send::handle).await;

    let counted = metrics(&line);
    let times: Vec<_> = counted.iter().filter(|(name, ..)| name.starts_with("TimeTo")).collect();
    let [(stored, stored_unit, stored_after), (pushed, pushed_unit, pushed_after)] = times[..] else {
        panic!("{times:?}")
    };
    assert_eq!((stored.as_str(), pushed.as_str()), ("TimeToStored", "TimeToPushed"));
    assert_eq!((stored_unit.as_str(), pushed_unit.as_str()), ("Milliseconds", "Milliseconds"));
    assert!(*stored_after >= AGO as u64 && pushed_after >= stored_after, "{line}");
    let others: Vec<_> = counted
        .iter()
        .filter(|(name, ..)| !name.starts_with("TimeTo"))
        .map(|(name, unit, value)| (name.as_str(), unit.as_str(), *value))
        .collect();
    let bytes = answer + pushed_bytes(&sender.aws);
    let expected =
        [("Stored", "Count", 1), ("Attempts", "Count", 1), ("Pushed", "Count", 1), ("Bytes", "Bytes", bytes)];
    assert_eq!(others, expected);

    // Apart from the metrics, the line contains only these fields: no message text and no user id.
    for (name, ..) in counted {
        line.as_object_mut().unwrap().remove(&name);
    }
    assert!(line["durationMs"].take().as_f64().unwrap() > 0.0);
    line["_aws"].take();
    let rest = json!({
        "_aws": null,
        "level": "INFO",
        "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "traceId": TRACE_ID,
        "connectionId": "alice",
        "route": "sendMessage",
        "outcome": "ok",
        "durationMs": null,
        "initMs": 7.6,
    });
    assert_eq!(line, rest);

    let again = json!({ "recipientId": "bob", "content": "And?", "lastSeq": 1 });
    let (_, line) = sender.line(&sender.context, &send(&again), send::handle).await;
    assert_eq!(line.get("initMs"), None, "only the first line of a process has it");
}

#[tokio::test]
async fn a_repeat_is_counted_as_one_and_has_no_time_to_stored() {
    let sender = Sender::with(&[("bob", "bob"), ("bob", "bob-2")]).await;
    sender.count(&hello()).await;
    sender.aws.connections.take_pushes();
    let (_, line) = sender.line(&sender.context, &send(&hello()), send::handle).await;
    let names: Vec<_> = metrics(&line).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["Repeats", "Pushed", "Bytes", "TimeToPushed"]);
    assert_eq!((&line["Repeats"], &line["Pushed"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn every_put_counts_as_an_attempt() {
    let sender = Sender::with(&[]).await;
    let (released, mut held) = (Arc::new(Notify::new()), false);
    let hold = released.clone();
    sender.aws.dynamodb.inject(move |call| {
        if appends(call) && !std::mem::replace(&mut held, true) {
            Outcome::Hold(hold.clone())
        } else {
            Outcome::Forward
        }
    });
    let faster = async {
        sender.aws.dynamodb.wait_for_calls("PutItem", 1).await;
        sender.aws.put_message(1, "bob", "alice", "Faster");
        released.notify_one();
    };
    let frame = hello();
    let (lost, ()) = tokio::join!(sender.count(&frame), faster);
    assert_eq!(lost, counted(&[("Stored", 1), ("Attempts", 2)]));
    assert_eq!(sender.aws.rows("MessagesTable").len(), 2);
}

#[tokio::test]
async fn failed_pushes_and_gone_connections_are_counted_apart_from_accepted_pushes() {
    let sender = Sender::with(&[("bob", "lives"), ("bob", "dead"), ("bob", "slow"), ("alice", "alice-2")]).await;
    sender.aws.put_connection("bob", "connecting", now() - AGO);
    sender.aws.connections.answer("dead", &[410]);
    sender.aws.connections.answer("connecting", &[410]);
    sender.aws.connections.answer("slow", &[500]);
    let mut counted_now = sender.count(&hello()).await;
    assert_eq!(counted_now.remove("Bytes"), Some(pushed_bytes(&sender.aws)));
    assert_eq!(
        counted_now,
        counted(&[("Stored", 1), ("Attempts", 1), ("Pushed", 2), ("Gone", 2), ("PushFailures", 1)])
    );
}

#[tokio::test]
async fn without_an_accepted_push_there_is_no_time_to_pushed() {
    let sender = Sender::with(&[("bob", "dead")]).await;
    sender.aws.connections.answer("dead", &[410]);
    let (_, line) = sender.line(&sender.context, &send(&hello()), send::handle).await;
    assert_eq!((&line["Gone"], line.get("Pushed"), line.get("TimeToPushed")), (&json!(1), None, None));
    assert!(line["TimeToStored"].is_number());
}

#[tokio::test]
async fn the_line_of_a_failed_request_has_the_error_code() {
    let sender = Sender::with(&[("bob", "bob")]).await;
    let secret = "xyzzy, which is never logged";
    let too_long = json!({ "recipientId": "bob", "content": secret.repeat(1_000) });
    for (frame, code) in [
        (json!({ "recipientId": "bob", "content": secret, "lastSeq": 7 }), "bad_request"),
        (json!({ "recipientId": "bob", "content": [secret] }), "bad_request"),
        (too_long, "too_large"),
    ] {
        let (bytes, line) = sender.line(&sender.context, &send(&frame), send::handle).await;
        assert_eq!(metrics(&line), [("Bytes".to_owned(), "Bytes".to_owned(), bytes)]);
        assert_eq!((&line["outcome"], &line["route"]), (&json!(code), &json!("sendMessage")));
        assert!(!line.to_string().contains("xyzzy"), "{line}");
    }
    sender.aws.dynamodb.inject(|_| Outcome::Fail(400, "ResourceNotFoundException"));
    let (_, line) = sender.line(&sender.context, &send(&hello()), send::handle).await;
    assert_eq!((&line["outcome"], line.get("Stored")), (&json!("internal"), None));
}

#[tokio::test]
async fn a_stored_message_is_counted_even_if_the_route_times_out() {
    let sender = Sender::with(&[("bob", "bob")]).await;
    let stuck = async |chat: &send::Context, request: Request| {
        send::handle(chat, request).await?;
        std::future::pending().await
    };
    let event = send(&hello()).timeout_ms(1_500);
    let (_, line) = sender.line(&sender.context, &event, stuck).await;
    assert_eq!((&line["outcome"], &line["Stored"], &line["Pushed"]), (&json!("unavailable"), &json!(1), &json!(1)));
}

#[tokio::test]
async fn the_last_frame_to_an_expired_connection_counts_as_bytes() {
    let sender = Sender::with(&[]).await;
    let expired = send(&hello()).set("/requestContext/authorizer/expiresAt", json!("1"));
    let (answered, line) = sender.line(&sender.context, &expired, send::handle).await;
    let pushed = sender.aws.connections.take_pushes();
    assert_eq!((answered, pushed.len()), (0, 1));
    let bytes = pushed[0].frame.to_string().len() as u64;
    assert_eq!(metrics(&line), [("Bytes".to_owned(), "Bytes".to_owned(), bytes)]);
    assert_eq!((&line["outcome"], &line["connectionId"]), (&json!("token_expired"), &json!("alice")));
}

#[tokio::test]
async fn a_clock_behind_api_gateways_measures_zero() {
    let sender = Sender::with(&[("bob", "bob")]).await;
    let event = send(&hello()).received_at(now() + 3_600_000);
    let (_, line) = sender.line(&sender.context, &event, send::handle).await;
    assert_eq!((&line["TimeToStored"], &line["TimeToPushed"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_read_receipt_is_counted_as_pushes_and_not_as_a_message() {
    let sender = Sender::with(&[("bob", "bob")]).await;
    sender.aws.put_message(1, "bob", "alice", "Hi");
    let context: read::Context = sender.aws.context();
    let event =
        Fixture::named("read").user("alice").frame(&json!({ "targetId": "bob", "seq": 1 })).received_at(now() - AGO);
    let (_, line) = sender.line(&context, &event, read::handle).await;
    let names: Vec<_> = metrics(&line).into_iter().map(|(name, ..)| name).collect();
    assert_eq!((names, &line["Pushed"]), (["Pushed", "Bytes", "TimeToPushed"].map(str::to_owned).into(), &json!(1)));
    assert_eq!(line["route"], "markRead");
}

#[tokio::test]
async fn a_line_without_metrics_has_no_metric_metadata() {
    let aws = FakeAws::start().await;
    let log = log(Some("chat"));
    let context: connect::Context = aws.context();
    let connect = Fixture::named("connect").set("/requestContext/connectionId", json!("new="));
    let handled = lambda::handle_event(&context, lambda_event(&connect), connect::handle).await;
    let line = parse(&written(&log, &handled));
    assert_eq!((line.get("_aws"), &line["route"], &line["outcome"]), (None, &json!("$connect"), &json!("ok")));
    assert_eq!((&line["connectionId"], &line["traceId"]), (&json!("new="), &json!(TRACE_ID)));

    let authorizer: authorizer::Context = aws.context();
    for (user, outcome) in [(json!(["alice"]), "ok"), (json!([]), "unauthenticated"), (json!(["a", "b"]), "forbidden")]
    {
        let asked = Fixture::named("authorizer").set("/multiValueQueryStringParameters/userId", user);
        let handled = lambda::authorize(&authorizer, lambda_event(&asked), authorizer::handle).await;
        let line = parse(&written(&log, &lambda_line(handled)));
        assert_eq!((line.get("_aws"), &line["route"], &line["outcome"]), (None, &json!("authorizer"), &json!(outcome)));
        assert!(!line.to_string().contains("alice"), "no user is logged: {line}");
    }
}

/// Drops the response, because `Diagnostic` can't be serialized.
fn lambda_line<A>(handled: Handled<A>) -> Handled<()> {
    Handled { response: (), entry: handled.entry }
}

#[tokio::test]
async fn without_a_namespace_the_metrics_are_plain_fields() {
    let sender = Sender::with(&[("bob", "bob")]).await;
    let handled = lambda::handle_event(&sender.context, lambda_event(&send(&hello())), send::handle).await;
    let line = parse(&written(&log(None), &handled));
    let counts = ["_aws", "Stored", "Attempts", "Pushed", "traceId"].map(|name| line.get(name).cloned());
    assert_eq!(counts, [None, Some(json!(1)), Some(json!(1)), Some(json!(1)), Some(json!(TRACE_ID))]);
    assert!(line["durationMs"].is_number() && line["TimeToStored"].is_number(), "{line}");
}

#[tokio::test]
async fn the_line_of_a_message_has_the_documented_length() {
    let sender = Sender::with(&[("bob", "L0SM9cOFvHcCIhw=")]).await;
    sender.count(&hello()).await;
    let event = Fixture::named("send").user("alice").connection("L0SM9cOFvHcCIhx=").received_at(now() - AGO);
    let event = event.frame(&json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 1 }));
    let handled = lambda::handle_event(&sender.context, lambda_event(&event), send::handle).await;
    let plain = log(None);
    // The first line of a process contains `initMs`, too.
    plain.format(&handled.entry);
    for (log, documented) in [(&sender.log, 622), (&plain, 289)] {
        let bytes = written(log, &handled).trim_end().len();
        // The number of digits in times and counts varies.
        assert!(bytes.abs_diff(documented) <= 12, "{bytes}, and not {documented}: {}", written(log, &handled));
    }
}

#[tokio::test]
async fn no_line_is_written_below_the_log_level_or_to_a_text_log() {
    let sender = Sender::with(&[]).await;
    let handled = lambda::handle_event(&sender.context, lambda_event(&send(&hello())), send::handle).await;
    for (level, json, written) in [(Level::INFO, true, true), (Level::WARN, true, false), (Level::INFO, false, false)] {
        let log = RequestLog::new(&LogSettings { level, json }, Some("chat".to_owned()), Duration::ZERO);
        assert_eq!(log.format(&handled.entry).is_some(), written, "{level} {json}");
    }
}
