//! An authorizer that allows every connection.

use runtime::Runtime;

const ALLOW: &str = r#"{"principalId": "guest", "policyDocument": {"Version": "2012-10-17", "Statement":
    [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}]}}"#;

fn main() {
    let mut runtime = Runtime::connect();
    loop {
        let (id, _) = runtime.next();
        runtime.respond(&id, ALLOW);
    }
}
