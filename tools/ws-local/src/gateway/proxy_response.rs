//! `ProxyResponse`: a function's response in the format of Lambda's proxy integration.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// The fields that a WebSocket API uses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProxyResponse {
    #[serde(rename = "statusCode", deserialize_with = "number_or_digits")]
    pub(super) status: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Why a function's response can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidResponse {
    // Contains only the position, because serde's message quotes the response, which may contain
    // message text.
    #[error("the function's response is not {{statusCode, headers, body}}: see line {line}, column {column}")]
    Shape { line: usize, column: usize },
    #[error("the function's response has isBase64Encoded, but its body is not base64")]
    Base64(#[from] base64::DecodeError),
    #[error("the function's response decodes to bytes that are not UTF-8, and only text frames are sent")]
    Text(#[from] std::string::FromUtf8Error),
    #[error("the function's response has {0} bytes, more than a message may have")]
    TooLong(usize),
}

impl ProxyResponse {
    pub(super) fn parse(json: &[u8]) -> Result<Self, InvalidResponse> {
        serde_json::from_slice(json)
            .map_err(|error| InvalidResponse::Shape { line: error.line(), column: error.column() })
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header. The case of `name` does not matter.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let single = self.headers.iter().flatten();
        let multi = self.multi_value_headers.iter().flatten();
        single
            .chain(multi.filter_map(|(key, values)| values.last().map(|value| (key, value))))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_str())
    }

    /// The text for the client. `None` for an empty or absent body.
    pub(super) fn text(self, limit: usize) -> Result<Option<String>, InvalidResponse> {
        let text = match self.body {
            Some(body) if self.is_base64_encoded == Some(true) => String::from_utf8(STANDARD.decode(body)?)?,
            Some(body) => body,
            None => return Ok(None),
        };
        match text.len() {
            0 => Ok(None),
            length if length > limit => Err(InvalidResponse::TooLong(length)),
            _ => Ok(Some(text)),
        }
    }
}

/// API Gateway accepts `"200"` for `200`.
fn number_or_digits<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let value = Value::deserialize(from)?;
    let status = match &value {
        Value::String(digits) => digits.parse().ok(),
        number => number.as_u64().and_then(|n| u16::try_from(n).ok()),
    };
    status
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| D::Error::custom("statusCode is not an HTTP status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<Option<String>, InvalidResponse> {
        ProxyResponse::parse(json.as_bytes()).and_then(|response| response.text(10))
    }

    #[test]
    fn a_body_is_text_or_base64_of_text() {
        assert_eq!(text(r#"{"statusCode":200,"body":"hi"}"#).unwrap().unwrap(), "hi");
        assert_eq!(text(r#"{"statusCode":"200","body":"aGk=","isBase64Encoded":true}"#).unwrap().unwrap(), "hi");
        for none in ["{\"statusCode\":200}", "{\"statusCode\":200,\"body\":null}"] {
            assert_eq!(text(none).unwrap(), None);
        }
    }

    #[test]
    fn nonsense_is_invalid() {
        for nonsense in [
            "",
            "null",
            "\"ok\"",
            "[]",
            "{}",
            r#"{"statusCode":"ok"}"#,
            r#"{"statusCode":2}"#,
            r#"{"statusCode":200.5}"#,
            r#"{"statusCode":200,"body":{"a":1}}"#,
            r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"body":"/w==","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"body":"12345678901"}"#,
        ] {
            assert!(text(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_header_is_found_in_any_case_and_in_both_maps() {
        let of = |json: &str| {
            let response = ProxyResponse::parse(json.as_bytes()).unwrap();
            response.header("Sec-WebSocket-Protocol").map(str::to_owned)
        };
        let single = of(r#"{"statusCode":200,"headers":{"sec-websocket-protocol":"chat"}}"#);
        let multi = of(r#"{"statusCode":200,"multiValueHeaders":{"Sec-WebSocket-Protocol":["chat"]}}"#);
        assert_eq!((single.as_deref(), multi.as_deref()), (Some("chat"), Some("chat")));
        assert_eq!(of(r#"{"statusCode":200,"headers":{"X":1}}"#), None);
    }
}
