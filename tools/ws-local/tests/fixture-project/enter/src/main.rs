//! Accepts every connection.

use runtime::Runtime;

fn main() {
    let mut runtime = Runtime::connect();
    loop {
        let (id, _) = runtime.next();
        runtime.respond(&id, r#"{"statusCode":200}"#);
    }
}
