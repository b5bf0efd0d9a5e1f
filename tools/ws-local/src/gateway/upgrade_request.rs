//! `UpgradeRequest`: the request that opens a connection, in the form that functions receive.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, Uri, header};
use serde_json::{Map, Value};

/// Headers and query parameters in their order, with the header names as API Gateway spells them.
#[derive(Debug)]
pub(super) struct UpgradeRequest {
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    /// The client's address.
    pub(super) source_ip: IpAddr,
    /// The host and port that the client called.
    pub(super) host: String,
    pub(super) user_agent: Option<String>,
}

impl UpgradeRequest {
    /// A request from `peer` to the gateway at `address`.
    pub(super) fn new(uri: &Uri, headers: &HeaderMap, peer: SocketAddr, address: SocketAddr) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let host = text(header::HOST).unwrap_or_else(|| address.to_string());
        Self {
            source_ip: peer.ip(),
            user_agent: text(header::USER_AGENT),
            query: form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
            headers: forwarded_headers(headers, peer, address),
            host,
        }
    }

    /// The value of a header, the last of several. The case of `name` does not matter.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().rev().find(found).map(|(_, value)| value.as_str())
    }

    /// The value of a query parameter, the last of several.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = |(key, _): &&(String, String)| key == name;
        self.query.iter().rev().find(found).map(|(_, value)| value.as_str())
    }

    /// Adds headers and query parameters to an event. Each gets two maps: one with the last value
    /// per name, one with all values. If there are no query parameters, both of their maps are
    /// absent.
    pub(super) fn add_to(&self, event: &mut Map<String, Value>) {
        event.insert("headers".into(), last_of_each(&self.headers));
        event.insert("multiValueHeaders".into(), all_of_each(&self.headers));
        if !self.query.is_empty() {
            event.insert("queryStringParameters".into(), last_of_each(&self.query));
            event.insert("multiValueQueryStringParameters".into(), all_of_each(&self.query));
        }
    }
}

/// The client's headers without `Connection` and `Upgrade`, and with the `X-Forwarded` headers of a load balancer.
fn forwarded_headers(headers: &HeaderMap, peer: SocketAddr, address: SocketAddr) -> Vec<(String, String)> {
    let mut passed: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| **name != header::CONNECTION && **name != header::UPGRADE)
        .map(|(name, value)| (spell(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut forwarded_for: Vec<String> = Vec::new();
    passed.retain(|(name, value)| match name.as_str() {
        "X-Forwarded-For" => {
            forwarded_for.push(value.clone());
            false
        }
        "X-Forwarded-Port" | "X-Forwarded-Proto" => false,
        _ => true,
    });
    forwarded_for.push(peer.ip().to_string());
    passed.push(("X-Forwarded-For".into(), forwarded_for.join(", ")));
    passed.push(("X-Forwarded-Port".into(), address.port().to_string()));
    passed.push(("X-Forwarded-Proto".into(), "http".into()));
    passed
}

/// Turns `sec-websocket-protocol`, the HTTP library's spelling, into `Sec-WebSocket-Protocol`.
fn spell(name: &str) -> String {
    let word = |word: &str| match word {
        "websocket" => "WebSocket".to_owned(),
        _ => {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn last_of_each(pairs: &[(String, String)]) -> Value {
    let each = pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    Value::Object(each.collect())
}

fn all_of_each(pairs: &[(String, String)]) -> Value {
    let mut all = Map::<String, Value>::new();
    for (name, value) in pairs {
        let values = all.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.as_str().into());
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(uri: &str, headers: &[(&'static str, &'static str)]) -> Value {
        let uri: Uri = uri.parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let (peer, address) = ("10.0.0.13:9".parse().unwrap(), "127.0.0.1:3000".parse().unwrap());
        let mut event = Map::new();
        UpgradeRequest::new(&uri, &map, peer, address).add_to(&mut event);
        Value::Object(event)
    }

    #[test]
    fn query_parameters_are_decoded() {
        let event = event("/prod?name=J%C3%BCrgen+B%2B&empty=&bare&a%20b=%E4%BD%A0", &[]);
        assert_eq!(event["queryStringParameters"], json!({"name": "Jürgen B+", "empty": "", "bare": "", "a b": "你"}));
    }

    #[test]
    fn all_values_of_a_repeated_parameter_are_in_the_multi_value_map_only() {
        let event = event("/prod?token=a&token=b", &[]);
        assert_eq!(event["queryStringParameters"], json!({"token": "b"}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"token": ["a", "b"]}));
    }

    #[test]
    fn without_query_parameters_both_maps_are_absent() {
        for uri in ["/prod", "/prod?"] {
            let event = event(uri, &[]);
            assert!(event.get("queryStringParameters").is_none(), "{uri}");
            assert!(event.get("multiValueQueryStringParameters").is_none(), "{uri}");
        }
    }

    #[test]
    fn headers_are_spelled_as_by_api_gateway_without_those_of_the_upgrade() {
        let event = event(
            "/prod",
            &[
                ("host", "chat.example"),
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-protocol", "chat, token"),
                ("user-agent", "test"),
                ("x-many", "1"),
                ("x-many", "2"),
            ],
        );
        assert_eq!(
            event["headers"],
            json!({
                "Host": "chat.example",
                "Sec-WebSocket-Protocol": "chat, token",
                "User-Agent": "test",
                "X-Many": "2",
                "X-Forwarded-For": "10.0.0.13",
                "X-Forwarded-Port": "3000",
                "X-Forwarded-Proto": "http",
            })
        );
        assert_eq!(event["multiValueHeaders"]["X-Many"], json!(["1", "2"]));
    }

    #[test]
    fn a_forged_forwarding_header_does_not_hide_the_real_address() {
        let event = event("/prod", &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "x")]);
        assert_eq!(event["headers"]["X-Forwarded-For"], "1.2.3.4, 10.0.0.13");
        assert_eq!(event["multiValueHeaders"]["X-Forwarded-Proto"], json!(["http"]));
    }
}
