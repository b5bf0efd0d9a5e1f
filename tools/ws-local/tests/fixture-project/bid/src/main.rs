//! Replies to each message with the same message.

use runtime::Runtime;

fn main() {
    let mut runtime = Runtime::connect();
    loop {
        let (id, event) = runtime.next();
        // Only the body contains escaped quotes, so the first unescaped quote ends it.
        let (_, body) = event.split_once(r#""body":""#).unwrap();
        let end = body.replace(r#"\""#, "  ").find('"').unwrap();
        runtime.respond(&id, &format!(r#"{{"statusCode":200,"body":"{}"}}"#, &body[..end]));
    }
}
