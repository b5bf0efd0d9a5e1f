//! A function that carries out the command in its event.
//!
//! An event is a JSON string with a verb and an optional argument. The environment variable `INIT`
//! selects a failure before the first event. `HOLD` is an address: the process keeps a connection
//! to it open, so that a test can detect when the process ends.

use std::{env, io::Read, net::TcpStream, process::exit, thread::park};

use runtime::Runtime;

fn main() {
    let _held = env::var("HOLD").map(|address| TcpStream::connect(address).unwrap());
    let mut runtime = Runtime::connect();
    match env::var("INIT").as_deref() {
        Ok("report") => {
            runtime.call("POST", "init/error", r#"{"errorType":"Init","errorMessage":"no table"}"#);
            exit(1);
        }
        Ok("panic") => panic!("TABLE is not set"),
        Ok("hang") => hang(),
        _ => {}
    }
    println!("ready");
    loop {
        let (id, event) = runtime.next();
        let event = event.trim_matches('"');
        let (verb, argument) = event.split_once(' ').unwrap_or((event, ""));
        let response = match verb {
            "pid" => std::process::id().to_string(),
            "word" => format!("{:?}", word::WORD),
            "environment" => environment(),
            "big" => format!("{:?}", "x".repeat(argument.parse().unwrap())),
            "wait" => wait(argument),
            "print" => {
                println!("out: {argument}");
                eprintln!("err: {argument}");
                "null".to_owned()
            }
            "fail" => {
                let error = r#"{"errorType":"Fault","errorMessage":"on request"}"#;
                runtime.call("POST", &format!("invocation/{id}/error"), error);
                continue;
            }
            "hang" => hang(),
            "panic" => panic!("on request"),
            _ => format!("{event:?}"),
        };
        runtime.respond(&id, &response);
    }
}

/// Connects to `address` and returns when it receives a byte.
fn wait(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    std::process::id().to_string()
}

fn environment() -> String {
    let variables: Vec<_> = env::vars().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
    format!("{{{}}}", variables.join(","))
}

fn hang() -> ! {
    loop {
        park();
    }
}
