//! The results of invocations.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use ws_local::{
    event::Event,
    functions::FunctionOptions,
    invoke::{Invoke, InvokeError, InvokeResult},
};

use crate::project::{Project, run};

/// The function's response to `event`, as a JSON string.
async fn invoke(functions: &impl Invoke, event: &str) -> InvokeResult {
    functions.invoke("Worker", json!(event).to_string().into_bytes()).await
}

async fn json_of(functions: &impl Invoke, event: &str) -> Value {
    serde_json::from_slice(&invoke(functions, event).await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_function_responds_to_an_event() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    assert_eq!(json_of(&functions, "hello \u{1f980}").await, json!("hello \u{1f980}"));
}

#[tokio::test]
async fn events_one_after_the_other_are_handled_by_one_process() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    let first = json_of(&functions, "pid").await;
    for _ in 0..100 {
        assert_eq!(json_of(&functions, "pid").await, first);
    }
    assert_eq!(functions.started("Worker"), 1);
    assert_eq!(functions.processes("Worker")[0].id(), first);
}

#[tokio::test]
async fn events_at_once_are_handled_by_a_process_each_up_to_the_bound() {
    let options = FunctionOptions { processes: 2, ..FunctionOptions::default() };
    let (functions, _events) = run(&Project::shared().stack(|_| {}), options).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = format!("wait {}", listener.local_addr().unwrap());

    let results = join_all((0..6).map(|_| invoke(&functions, &event)));
    let release = async {
        let (first, _) = listener.accept().await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        go_on(first).await;
        go_on(second).await;
        for _ in 2..6 {
            go_on(listener.accept().await.unwrap().0).await;
        }
    };
    let (results, ()) = tokio::join!(results, release);

    assert!(results.iter().all(Result::is_ok));
    assert_eq!(functions.started("Worker"), 2);
}

#[tokio::test]
async fn an_event_past_the_reserved_concurrency_is_throttled_at_once() {
    let stack = Project::shared().stack(|function| function.reserved_concurrency = Some(1));
    let (functions, _events) = run(&stack, FunctionOptions::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = format!("wait {}", listener.local_addr().unwrap());

    let refuse = async {
        let (stream, _) = listener.accept().await.unwrap();
        let refused = invoke(&functions, "hello").await;
        go_on(stream).await;
        refused
    };
    let (result, refused) = tokio::join!(invoke(&functions, &event), refuse);

    result.unwrap();
    assert!(matches!(refused, Err(InvokeError::Throttled(1))), "{refused:?}");
    invoke(&functions, "hello").await.unwrap();
}

#[tokio::test]
async fn an_event_that_finds_no_process_free_within_the_time_out_is_throttled() {
    let stack = Project::shared().stack(|function| function.timeout = Duration::from_millis(300));
    let options = FunctionOptions { processes: 1, ..FunctionOptions::default() };
    let (functions, mut events) = run(&stack, options).await;
    functions.warm("Worker").await.unwrap();
    // The first event gets the only process. When the first times out, the second has also waited
    // for the whole time-out, so it may or may not be handled. The third is always throttled.
    let (first, second, third) =
        tokio::join!(invoke(&functions, "hang"), invoke(&functions, "hang"), invoke(&functions, "hang"),);
    assert!(matches!(first, Err(InvokeError::TimedOut(_))), "{first:?}");
    assert!(second.is_err());
    assert!(matches!(third, Err(InvokeError::Throttled(1))), "{third:?}");
    events.find(|event| matches!(event, Event::ProcessEnded { .. }).then_some(())).await;
}

#[tokio::test]
async fn a_function_past_its_time_out_is_killed_and_the_next_event_is_handled() {
    let time = Duration::from_millis(500);
    let stack = Project::shared().stack(|function| function.timeout = time);
    let (functions, _events) = run(&stack, FunctionOptions::default()).await;
    let process = functions.warm("Worker").await.unwrap();
    let result = invoke(&functions, "hang").await;
    assert!(matches!(result, Err(InvokeError::TimedOut(limit)) if limit == time), "{result:?}");
    assert!(process.has_ended());
    assert_eq!(json_of(&functions, "hello").await, json!("hello"));
    assert_eq!(functions.started("Worker"), 2);
}

#[tokio::test]
async fn a_process_that_dies_of_an_event_is_reported_with_its_last_lines() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    let result = invoke(&functions, "panic").await;
    let Err(InvokeError::Exited(how)) = result else { panic!("{result:?}") };
    assert!(how.contains("exit status: 101") && how.contains("on request"), "{how}");
    assert_eq!(json_of(&functions, "hello").await, json!("hello"));
}

#[tokio::test]
async fn a_function_that_reports_an_error_lives_on() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    let result = invoke(&functions, "fail").await;
    let Err(InvokeError::Failed(error)) = result else { panic!("{result:?}") };
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error, json!({"errorType": "Fault", "errorMessage": "on request"}));
    assert_eq!(json_of(&functions, "hello").await, json!("hello"));
    assert_eq!(functions.started("Worker"), 1);
}

#[tokio::test]
async fn a_response_may_have_six_megabytes_and_no_more() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    // Including the two quotes, the response has 6,291,556 bytes.
    assert_eq!(invoke(&functions, "big 6291554").await.unwrap().len(), 6_291_556);
    let result = invoke(&functions, "big 6291555").await;
    let Err(InvokeError::Failed(error)) = result else { panic!("it passed") };
    assert!(error.contains("Function.ResponseSizeTooLarge"), "{error}");
    assert_eq!(json_of(&functions, "hello").await, json!("hello"));
    assert_eq!(functions.started("Worker"), 1);
}

#[tokio::test]
async fn a_function_continues_when_its_caller_stops_waiting() {
    let options = FunctionOptions { processes: 1, ..FunctionOptions::default() };
    let (functions, _events) = run(&Project::shared().stack(|_| {}), options).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = format!("wait {}", listener.local_addr().unwrap());
    let stream = tokio::select! {
        result = invoke(&functions, &event) => panic!("{result:?}"),
        accepted = listener.accept() => accepted.unwrap().0,
    };
    let (result, ()) = tokio::join!(invoke(&functions, "hello"), go_on(stream));
    result.unwrap();
    assert_eq!(functions.started("Worker"), 1);
}

#[tokio::test]
async fn an_unknown_function_is_unreachable() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    let result = functions.invoke("Other", Vec::new()).await;
    assert!(matches!(result, Err(InvokeError::Unreachable(_))), "{result:?}");
}

async fn go_on(mut stream: TcpStream) {
    stream.write_all(&[1]).await.unwrap();
}
