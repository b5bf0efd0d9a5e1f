//! The line of one invocation, for everything that can come of a request.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chat_core::{
    Error, Reply, Request,
    lambda::{self, Handled, LogSettings, RequestLog},
    push::connections_api::ConnectionsApi,
};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::{Value, json};
use support::{Call, FakeAws, Fixture, Outcome};
use tokio::sync::Notify;
use tracing::Level;

use crate::embedded::{metrics, parse};

/// A header as Lambda gives it, and the id in it.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
const TRACE_ID: &str = "1-5759e988-bd862e3fe1be46a994272793";
/// How long ago API Gateway received what is sent here, in milliseconds.
const AGO: i64 = 5_000;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn journal(namespace: Option<&str>) -> RequestLog {
    let log = LogSettings { level: Level::INFO, json: true };
    RequestLog::new(&log, namespace.map(str::to_owned), Duration::from_micros(7_649))
}

fn given<E: serde::de::DeserializeOwned>(event: &Fixture) -> LambdaEvent<E> {
    let mut event = event.lambda();
    event.context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
    event.context.xray_trace_id = Some(TRACE.to_owned());
    event
}

/// The line, as it is written.
fn written<A: Serialize>(journal: &RequestLog, answered: &Handled<A>) -> String {
    let line = String::from_utf8(journal.format(&answered.entry).expect("a line is written")).unwrap();
    assert_eq!((line.matches('\n').count(), line.ends_with('\n')), (1, true), "{line}");
    line
}

/// Alice's `sendMessage`s, the tables, and who else is connected since an hour.
struct World {
    aws: FakeAws,
    chat: send::Context,
    connections: ConnectionsApi,
    journal: RequestLog,
}

impl World {
    async fn with(connections: &[(&str, &str)]) -> Self {
        let aws = FakeAws::start().await;
        for (user, connection) in connections {
            aws.put_connection(user, connection, now() - 3_600_000);
        }
        let (chat, connections, journal) = (aws.context(), aws.context(), journal(Some("chat")));
        Self { aws, chat, connections, journal }
    }

    /// What a route's answer is, in bytes, and its line.
    async fn line<T>(
        &self,
        tools: &T,
        event: &Fixture,
        route: impl AsyncFn(&T, Request) -> Result<Reply, Error>,
    ) -> (u64, Value) {
        let answered = lambda::handle_message(tools, &self.connections, given(event), route).await;
        let answer = serde_json::to_value(&answered).unwrap();
        let line = parse(&written(&self.journal, &answered));
        (answer["body"].as_str().unwrap_or_default().len() as u64, line)
    }

    /// Sends something, and gives what CloudWatch counts of it but for times, with the pushes' bytes for its bytes.
    async fn count(&self, frame: &Value) -> BTreeMap<String, u64> {
        let (bytes, line) = self.line(&self.chat, &send(frame), send::handle).await;
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

/// Of the only frame that was pushed to each of these.
fn pushed_bytes(aws: &FakeAws) -> u64 {
    // What the frame's bytes are in whatever order its fields stand.
    aws.connections.take_pushes().iter().map(|push| push.frame.to_string().len() as u64).sum()
}

#[tokio::test]
async fn a_stored_and_pushed_message_is_one_line_with_its_figures_and_its_trace() {
    let world = World::with(&[("alice", "alice"), ("bob", "bob")]).await;
    let (answer, mut line) = world.line(&world.chat, &send(&hello()), send::handle).await;

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
    let bytes = answer + pushed_bytes(&world.aws);
    let expected =
        [("Stored", "Count", 1), ("Attempts", "Count", 1), ("Pushed", "Count", 1), ("Bytes", "Bytes", bytes)];
    assert_eq!(others, expected);

    // Besides them, the line holds this and nothing else: no text, no user.
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
    let (_, line) = world.line(&world.chat, &send(&again), send::handle).await;
    assert_eq!(line.get("initMs"), None, "only the first of a process waited for its start");
}

#[tokio::test]
async fn a_repeat_counts_as_one_and_is_stored_at_no_time() {
    let world = World::with(&[("bob", "bob"), ("bob", "bob-2")]).await;
    world.count(&hello()).await;
    world.aws.connections.take_pushes();
    let (_, line) = world.line(&world.chat, &send(&hello()), send::handle).await;
    let names: Vec<_> = metrics(&line).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["Repeats", "Pushed", "Bytes", "TimeToPushed"]);
    assert_eq!((&line["Repeats"], &line["Pushed"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn every_put_counts_as_an_attempt() {
    let world = World::with(&[]).await;
    let (released, mut held) = (Arc::new(Notify::new()), false);
    let hold = released.clone();
    world.aws.dynamodb.inject(move |call| {
        if appends(call) && !std::mem::replace(&mut held, true) {
            Outcome::Hold(hold.clone())
        } else {
            Outcome::Forward
        }
    });
    let faster = async {
        // Both inboxes, and the message that is held.
        world.aws.dynamodb.saw("PutItem", 3).await;
        world.aws.put_message(1, "bob", "alice", "Faster");
        released.notify_one();
    };
    let frame = hello();
    let (lost, ()) = tokio::join!(world.count(&frame), faster);
    assert_eq!(lost, counted(&[("Stored", 1), ("Attempts", 2)]));
    assert_eq!(world.aws.rows("MessagesTable").len(), 2);
}

#[tokio::test]
async fn a_push_that_fails_and_a_connection_that_is_gone_are_told_from_one_that_is_pushed() {
    let world = World::with(&[("bob", "lives"), ("bob", "dead"), ("bob", "slow"), ("alice", "alice-2")]).await;
    world.aws.put_connection("bob", "connecting", now() - AGO);
    world.aws.connections.answer("dead", &[410]);
    world.aws.connections.answer("connecting", &[410]);
    world.aws.connections.answer("slow", &[500]);
    let mut counted_now = world.count(&hello()).await;
    assert_eq!(counted_now.remove("Bytes"), Some(pushed_bytes(&world.aws)));
    assert_eq!(
        counted_now,
        counted(&[("Stored", 1), ("Attempts", 1), ("Pushed", 2), ("Gone", 2), ("PushFailures", 1)])
    );
}

#[tokio::test]
async fn where_nothing_is_pushed_no_time_is_measured_for_it() {
    let world = World::with(&[("bob", "dead")]).await;
    world.aws.connections.answer("dead", &[410]);
    let (_, line) = world.line(&world.chat, &send(&hello()), send::handle).await;
    assert_eq!((&line["Gone"], line.get("Pushed"), line.get("TimeToPushed")), (&json!(1), None, None));
    assert!(line["TimeToStored"].is_number());
}

#[tokio::test]
async fn a_refused_frame_and_a_fault_of_ours_are_lines_that_name_the_code() {
    let world = World::with(&[("bob", "bob")]).await;
    let secret = "xyzzy, which nobody may read";
    let too_long = json!({ "recipientId": "bob", "content": secret.repeat(1_000) });
    for (frame, code) in [
        (json!({ "recipientId": "bob", "content": secret, "lastSeq": 7 }), "bad_request"),
        (json!({ "recipientId": "bob", "content": [secret] }), "bad_request"),
        (too_long, "too_large"),
    ] {
        let (bytes, line) = world.line(&world.chat, &send(&frame), send::handle).await;
        assert_eq!(metrics(&line), [("Bytes".to_owned(), "Bytes".to_owned(), bytes)]);
        assert_eq!((&line["outcome"], &line["route"]), (&json!(code), &json!("sendMessage")));
        assert!(!line.to_string().contains("xyzzy"), "{line}");
    }
    world.aws.dynamodb.inject(|_| Outcome::Fail(400, "ResourceNotFoundException"));
    let (_, line) = world.line(&world.chat, &send(&hello()), send::handle).await;
    assert_eq!((&line["outcome"], line.get("Stored")), (&json!("internal"), None));
}

#[tokio::test]
async fn what_was_stored_counts_even_where_the_route_was_given_up() {
    let world = World::with(&[("bob", "bob")]).await;
    let stuck = async |chat: &send::Context, request: Request| {
        send::handle(chat, request).await?;
        std::future::pending().await
    };
    let event = send(&hello()).timeout_ms(1_500);
    let (_, line) = world.line(&world.chat, &event, stuck).await;
    assert_eq!((&line["outcome"], &line["Stored"], &line["Pushed"]), (&json!("unavailable"), &json!(1), &json!(1)));
}

#[tokio::test]
async fn an_expired_token_is_a_line_and_its_farewell_counts_in_bytes_as_an_answer_does() {
    let world = World::with(&[]).await;
    let expired = send(&hello()).set("/requestContext/authorizer/expiresAt", json!("1"));
    let (answered, line) = world.line(&world.chat, &expired, send::handle).await;
    let pushed = world.aws.connections.take_pushes();
    assert_eq!((answered, pushed.len()), (0, 1));
    let bytes = pushed[0].frame.to_string().len() as u64;
    assert_eq!(metrics(&line), [("Bytes".to_owned(), "Bytes".to_owned(), bytes)]);
    assert_eq!((&line["outcome"], &line["connectionId"]), (&json!("token_expired"), &json!("alice")));
}

#[tokio::test]
async fn a_clock_behind_api_gateway_s_measures_no_time() {
    let world = World::with(&[("bob", "bob")]).await;
    let event = send(&hello()).received_at(now() + 3_600_000);
    let (_, line) = world.line(&world.chat, &event, send::handle).await;
    assert_eq!((&line["TimeToStored"], &line["TimeToPushed"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_receipt_counts_its_pushes_and_no_message() {
    let world = World::with(&[("bob", "bob")]).await;
    world.aws.put_message(1, "bob", "alice", "Hi");
    let tools: read::Context = world.aws.context();
    let event =
        Fixture::named("read").user("alice").frame(&json!({ "targetId": "bob", "seq": 1 })).received_at(now() - AGO);
    let (_, line) = world.line(&tools, &event, read::handle).await;
    let names: Vec<_> = metrics(&line).into_iter().map(|(name, ..)| name).collect();
    assert_eq!((names, &line["Pushed"]), (["Pushed", "Bytes", "TimeToPushed"].map(str::to_owned).into(), &json!(1)));
    assert_eq!(line["route"], "markRead");
}

#[tokio::test]
async fn what_has_nothing_to_count_is_an_ordinary_line() {
    let aws = FakeAws::start().await;
    let journal = journal(Some("chat"));
    let door: connect::Context = aws.context();
    let connect = Fixture::named("connect").set("/requestContext/connectionId", json!("new="));
    let answered = lambda::handle_event(&door, given(&connect), connect::handle).await;
    let line = parse(&written(&journal, &answered));
    assert_eq!((line.get("_aws"), &line["route"], &line["outcome"]), (None, &json!("$connect"), &json!("ok")));
    assert_eq!((&line["connectionId"], &line["traceId"]), (&json!("new="), &json!(TRACE_ID)));

    let authorizer: authorizer::Context = aws.context();
    for (user, outcome) in [(json!(["alice"]), "ok"), (json!([]), "unauthenticated"), (json!(["a", "b"]), "forbidden")]
    {
        let asked = Fixture::named("authorizer").set("/multiValueQueryStringParameters/userId", user);
        let answered = lambda::authorize(&authorizer, given(&asked), authorizer::handle).await;
        let line = parse(&written(&journal, &lambda_line(answered)));
        assert_eq!((line.get("_aws"), &line["route"], &line["outcome"]), (None, &json!("authorizer"), &json!(outcome)));
        assert!(!line.to_string().contains("alice"), "no user is logged: {line}");
    }
}

/// Without the answer, of which a diagnostic can't be written down.
fn lambda_line<A>(answered: Handled<A>) -> Handled<()> {
    Handled { response: (), entry: answered.entry }
}

#[tokio::test]
async fn without_a_namespace_the_same_line_holds_the_figures_and_counts_nothing() {
    let world = World::with(&[("bob", "bob")]).await;
    let answered = lambda::handle_event(&world.chat, given(&send(&hello())), send::handle).await;
    let line = parse(&written(&journal(None), &answered));
    let counts = ["_aws", "Stored", "Attempts", "Pushed", "traceId"].map(|name| line.get(name).cloned());
    assert_eq!(counts, [None, Some(json!(1)), Some(json!(1)), Some(json!(1)), Some(json!(TRACE_ID))]);
    assert!(line["durationMs"].is_number() && line["TimeToStored"].is_number(), "{line}");
}

#[tokio::test]
async fn the_line_of_an_ordinary_message_has_the_bytes_that_the_documents_say() {
    let world = World::with(&[("bob", "L0SM9cOFvHcCIhw=")]).await;
    world.count(&hello()).await;
    let event = Fixture::named("send").user("alice").connection("L0SM9cOFvHcCIhx=").received_at(now() - AGO);
    let event = event.frame(&json!({ "recipientId": "bob", "content": "Hi", "lastSeq": 1 }));
    let answered = lambda::handle_event(&world.chat, given(&event), send::handle).await;
    let plain = journal(None);
    // The first line of a process has its start, too.
    plain.format(&answered.entry);
    for (journal, documented) in [(&world.journal, 622), (&plain, 289)] {
        let bytes = written(journal, &answered).trim_end().len();
        // Times and counts have more or fewer digits.
        assert!(bytes.abs_diff(documented) <= 12, "{bytes}, and not {documented}: {}", written(journal, &answered));
    }
}

#[tokio::test]
async fn no_line_is_written_below_the_log_s_level_or_where_people_read_it() {
    let world = World::with(&[]).await;
    let answered = lambda::handle_event(&world.chat, given(&send(&hello())), send::handle).await;
    for (level, json, written) in [(Level::INFO, true, true), (Level::WARN, true, false), (Level::INFO, false, false)] {
        let journal = RequestLog::new(&LogSettings { level, json }, Some("chat".to_owned()), Duration::ZERO);
        assert_eq!(journal.format(&answered.entry).is_some(), written, "{level} {json}");
    }
}
