//! `RouteResponse`: the response of a route to API Gateway.

use serde::Serialize;

/// The response of a route: on `$connect` a status code, on `$disconnect` nothing, otherwise a frame.
///
/// The type of `aws_lambda_events` writes header names in lower case. AWS documents the header of `$connect` as
/// `Sec-WebSocket-Protocol` only, and not whether API Gateway ignores the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteResponse {
    status_code: u16,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Headers {
    #[serde(rename = "Sec-WebSocket-Protocol", skip_serializing_if = "Option::is_none")]
    subprotocol: Option<&'static str>,
}

impl Headers {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RouteResponse {
    /// Accepts a connection with the selected subprotocol, if the client offers any.
    pub(super) fn accept(subprotocol: Option<&'static str>) -> Self {
        Self { status_code: 200, headers: Headers { subprotocol }, body: None }
    }

    /// Refuses a connection. The status code is the one that the client gets. `error` is for the log of
    /// the local system; a client can't read it.
    pub(super) fn refuse(status_code: u16, error: Option<String>) -> Self {
        Self { status_code, headers: Headers::default(), body: error }
    }

    /// Replies to a message. The status code is always 200, because AWS does not document what API Gateway does with
    /// another one on a route with a response.
    pub(super) fn reply(frame: Option<String>) -> Self {
        Self { status_code: 200, headers: Headers::default(), body: frame }
    }
}
