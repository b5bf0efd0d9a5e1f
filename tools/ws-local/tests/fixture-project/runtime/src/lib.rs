//! A client of the Lambda Runtime API over a bare socket.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

pub struct Runtime {
    host: String,
    stream: BufReader<TcpStream>,
}

impl Runtime {
    pub fn connect() -> Self {
        let host = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
        let stream = BufReader::new(TcpStream::connect(&host).unwrap());
        Self { host, stream }
    }

    /// The request id and the payload of the next invocation.
    pub fn next(&mut self) -> (String, String) {
        self.call("GET", "invocation/next", "")
    }

    pub fn respond(&mut self, id: &str, response: &str) {
        self.call("POST", &format!("invocation/{id}/response"), response);
    }

    /// Makes one call. Returns the request id in the response's header, and the response's body.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> (String, String) {
        let (host, length) = (&self.host, body.len());
        let request = format!(
            "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut id, mut length) = (String::new(), 0);
        let lines = self.stream.by_ref().lines().map(Result::unwrap);
        for line in lines.take_while(|line| !line.is_empty()) {
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
