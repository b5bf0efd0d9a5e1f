//! Starting processes, their reported output, and their end.

use std::{collections::BTreeMap, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpListener};
use ws_local::{
    event::Event,
    functions::FunctionOptions,
    invoke::{Invoke, InvokeError},
};

use crate::project::{LONG, Project, run};

#[tokio::test]
async fn a_process_has_the_environment_of_lambda_and_its_template_and_no_other() {
    let stack = Project::shared().stack(|function| {
        function.environment = BTreeMap::from([
            ("TABLE".to_owned(), "rows".to_owned()),
            ("AWS_REGION".to_owned(), "is reserved".to_owned()),
        ]);
    });
    let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://127.0.0.1:1".to_owned());
    let options = FunctionOptions { environment: BTreeMap::from([endpoint]), ..FunctionOptions::default() };
    let (functions, _events) = run(&stack, options).await;

    let result = functions.invoke("Worker", b"\"environment\"".to_vec()).await.unwrap();

    let mut found: BTreeMap<String, String> = serde_json::from_slice(&result).unwrap();
    assert!(found.remove("AWS_LAMBDA_RUNTIME_API").unwrap().starts_with("127.0.0.1:"));
    assert!(found.remove("AWS_LAMBDA_LOG_STREAM_NAME").unwrap().contains("[$LATEST]"));
    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_NAME", "worker-function"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/worker-function"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TABLE", "rows"),
        ("TZ", ":UTC"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_a_function_prints_is_reported_with_its_name() {
    let (functions, mut events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    functions.invoke("Worker", b"\"print hello\"".to_vec()).await.unwrap();
    let process = functions.processes("Worker")[0].id();
    let mut lines = Vec::new();
    while lines.len() < 2 {
        lines.push(
            events
                .find(|event| match event {
                    Event::Printed { process: by, line } if line != "ready" => {
                        assert_eq!((by.function.as_str(), by.process), ("Worker", process));
                        Some(line)
                    }
                    _ => None,
                })
                .await,
        );
    }
    lines.sort();
    assert_eq!(lines, ["err: hello", "out: hello"]);
}

#[tokio::test]
async fn single_processes_are_started_counted_timed_and_killed() {
    let options = FunctionOptions { processes: 2, ..FunctionOptions::default() };
    let (functions, mut events) = run(&Project::shared().stack(|_| {}), options).await;
    let first = functions.warm("Worker").await.unwrap();
    let second = functions.warm("Worker").await.unwrap();
    let third = functions.warm("Worker").await;
    assert!(matches!(third, Err(InvokeError::Throttled(2))), "{third:?}");
    let after = events
        .find(|event| match event {
            Event::ProcessReady { process, after } if process.process == first.id() => Some(after),
            _ => None,
        })
        .await;
    assert_eq!(first.first_poll(), Some(after));

    second.kill();
    assert!(second.ended().await.contains("signal: 9"));

    let alive: Vec<_> = functions.processes("Worker").iter().map(|process| process.id()).collect();
    assert_eq!(alive, [first.id()]);
    assert_eq!(functions.started("Worker"), 2);
    let result = functions.invoke("Worker", b"\"pid\"".to_vec()).await.unwrap();
    assert_eq!(result, first.id().to_string().into_bytes());
}

#[tokio::test]
async fn a_process_that_cannot_start_is_reported_with_the_reason() {
    for (init, reason) in [
        ("report", r#"{"errorType":"Init","errorMessage":"no table"}"#),
        ("panic", "TABLE is not set"),
        ("hang", "not ready after 500ms"),
    ] {
        let stack = Project::shared().stack(|function| {
            function.environment = BTreeMap::from([("INIT".to_owned(), init.to_owned())]);
        });
        let options = FunctionOptions { init_timeout: Duration::from_millis(500), ..FunctionOptions::default() };
        let (functions, _events) = run(&stack, options).await;
        let result = functions.invoke("Worker", b"\"hello\"".to_vec()).await;
        let Err(InvokeError::Exited(how)) = result else { panic!("{init}: {result:?}") };
        assert!(how.contains(reason), "{init}: {how}");
        assert_eq!(functions.processes("Worker").len(), 0);
    }
}

#[tokio::test]
async fn stopping_leaves_no_process_in_whatever_state_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = Project::shared().stack(|function| {
        let address = listener.local_addr().unwrap().to_string();
        function.environment = BTreeMap::from([("HOLD".to_owned(), address)]);
    });
    let (functions, mut events) = run(&stack, FunctionOptions::default()).await;
    functions.warm("Worker").await.unwrap();
    let hanging = functions.invoke("Worker", b"\"hang\"".to_vec());
    let starting = functions.warm("Worker");
    let (hanging, ()) = tokio::join!(hanging, async {
        starting.await.unwrap();
        events.find(|event| matches!(event, Event::ProcessReady { .. }).then_some(())).await;
        functions.stop().await;
    });

    assert!(matches!(hanging, Err(InvokeError::Exited(_))), "{hanging:?}");
    assert_eq!(functions.processes("Worker").len(), 0);
    for _ in 0..functions.started("Worker") {
        let (mut held, _) = listener.accept().await.unwrap();
        let end = tokio::time::timeout(LONG, held.read(&mut [0])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)));
    }
    let later = functions.invoke("Worker", b"\"hello\"".to_vec()).await;
    assert!(matches!(later, Err(InvokeError::Unreachable(_))), "{later:?}");
}

#[tokio::test]
async fn a_dropped_handle_leaves_no_process() {
    let (functions, _events) = run(&Project::shared().stack(|_| {}), FunctionOptions::default()).await;
    let process = functions.warm("Worker").await.unwrap();
    drop(functions);
    tokio::time::timeout(LONG, process.ended()).await.unwrap();
}
