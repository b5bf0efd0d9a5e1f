//! Responds to a message with the message.

use runtime::Runtime;

fn main() {
    let mut runtime = Runtime::connect();
    loop {
        let (id, event) = runtime.next();
        // The body is the only string in the event that holds escaped quotes, so this end is its own.
        let (_, body) = event.split_once(r#""body":""#).unwrap();
        let end = body.replace(r#"\""#, "  ").find('"').unwrap();
        runtime.respond(&id, &format!(r#"{{"statusCode":200,"body":"{}"}}"#, &body[..end]));
    }
}
