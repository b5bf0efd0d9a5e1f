//! A function that does what its event says, and speaks the Lambda Runtime API over a bare socket.
//!
//! An event is a JSON string of a verb and perhaps an argument. `INIT` in the environment says what goes wrong before
//! the first one, and `HOLD` an address to keep a connection to, by which somebody sees when the process has ended.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::exit,
    thread::park,
};

fn main() {
    let _held = env::var("HOLD").map(|address| TcpStream::connect(address).unwrap());
    let mut runtime = Runtime::connect();
    match env::var("INIT").as_deref() {
        Ok("report") => {
            runtime.call(
                "POST",
                "init/error",
                r#"{"errorType":"Init","errorMessage":"no table"}"#,
            );
            exit(1);
        }
        Ok("panic") => panic!("TABLE is not set"),
        Ok("hang") => hang(),
        _ => {}
    }
    println!("ready");
    loop {
        let (id, event) = runtime.call("GET", "invocation/next", "");
        let event = event.trim_matches('"');
        let (verb, argument) = event.split_once(' ').unwrap_or((event, ""));
        let answer = match verb {
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
                let error = r#"{"errorType":"Fault","errorMessage":"as told"}"#;
                runtime.call("POST", &format!("invocation/{id}/error"), error);
                continue;
            }
            "hang" => hang(),
            "panic" => panic!("as told"),
            _ => format!("{event:?}"),
        };
        runtime.call("POST", &format!("invocation/{id}/response"), &answer);
    }
}

/// Tells somebody that the event is here, and answers when told to go on.
fn wait(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    std::process::id().to_string()
}

fn environment() -> String {
    let variables: Vec<_> = env::vars()
        .map(|(name, value)| format!("{name:?}:{value:?}"))
        .collect();
    format!("{{{}}}", variables.join(","))
}

fn hang() -> ! {
    loop {
        park();
    }
}

struct Runtime {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Runtime {
    fn connect() -> Self {
        let host = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
        let stream = BufReader::new(TcpStream::connect(&host).unwrap());
        Self { host, stream }
    }

    /// Gives the request id of an event, and the body.
    fn call(&mut self, method: &str, path: &str, body: &str) -> (String, String) {
        let (host, length) = (&self.host, body.len());
        let request = format!(
            "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut id, mut length) = (String::new(), 0);
        for line in self
            .stream
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
        {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            match name.to_lowercase().as_str() {
                "lambda-runtime-aws-request-id" => id = value.to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (id, String::from_utf8(body).unwrap())
    }
}
