//! Checks that no process remains when the program that runs functions is killed.
//!
//! This test has its own `main`, because the executable has three roles: the test, the program that
//! it kills, and the watchdog of that program.

#[allow(dead_code, reason = "other tests use the rest")]
mod project;

use std::{
    collections::BTreeMap,
    env,
    io::Read,
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use project::{LONG, Project, run};
use ws_local::{
    functions::{FunctionOptions, watchdog},
    invoke::Invoke,
};

fn main() {
    match env::args().nth(1).as_deref() {
        Some(watchdog::SUBCOMMAND) => watchdog::main(),
        Some("victim") => victim(),
        Some("--list") => {} // for tools that list the tests of every program
        _ => a_program_that_is_killed_leaves_no_process(),
    }
}

fn a_program_that_is_killed_leaves_no_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut victim =
        Command::new(env::current_exe().unwrap()).args(["victim", &address]).stdin(Stdio::null()).spawn().unwrap();
    // Two processes each hold one connection. The event handled by one of them holds the third and
    // blocks while reading from it.
    let held: Vec<_> = (0..3).map(|_| listener.accept().unwrap().0).collect();
    victim.kill().unwrap();
    victim.wait().unwrap();
    for mut stream in held {
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the connection ends with the process");
    }
    println!("test a_program_that_is_killed_leaves_no_process ... ok");
}

fn victim() {
    let hold = env::args().nth(2).unwrap();
    let event = format!("\"wait {hold}\"");
    let stack = Project::shared().stack(|function| {
        function.environment = BTreeMap::from([("HOLD".to_owned(), hold)]);
    });
    let options = FunctionOptions { watchdog: env::current_exe().ok(), ..FunctionOptions::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (functions, _events) = run(&stack, options).await;
        functions.warm("Worker").await.unwrap();
        functions.warm("Worker").await.unwrap();
        tokio::spawn(functions.invoke("Worker", event.into_bytes()));
        thread::park();
    });
}
