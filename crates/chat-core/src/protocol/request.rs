//! `Request`: one event of a connection. `ConnectRequest` and `Identity`: what the authorizer gets and returns.

use std::time::{Duration, Instant};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    model::{
        draft::Authorship,
        error::Error,
        message::ClientMessageId,
        time::{Timestamp, UnixSeconds},
        user::UserId,
    },
    protocol::{codec, metrics::MetricsRecorder},
};

/// The last part of an invocation, which is reserved for the reply.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// Where a request comes from, which decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A connection of the user. The authorizer has proved the user's id.
    Connection,
    /// A backend that acts as the user, by IAM. Only the edge of the function `api` makes such requests.
    Backend,
}

/// One event of one connection, from a user that the authorizer proved; or a request of a backend that acts as the user.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller, taken from the authorizer's context and from nowhere else; for a backend, the user that it acts as.
    pub user: UserId,
    /// Where the request comes from.
    pub origin: Origin,
    /// The caller's connection; empty for a backend.
    pub connection_id: String,
    /// When the caller's connection was opened.
    pub connected_at: Timestamp,
    /// When the token that the connection was opened with expires; none in open mode.
    pub token_expires_at: Option<UnixSeconds>,
    /// The caller's name for its client, if `$connect` has one in its query.
    pub client: Option<String>,
    /// When API Gateway received the event.
    pub received_at: Timestamp,
    /// When Lambda ends the invocation.
    pub deadline: Instant,
    /// The subprotocols that the client offers on `$connect`.
    pub subprotocols: Vec<String>,
    /// The frame, not parsed; empty on `$connect` and `$disconnect`.
    pub frame: String,
    /// Ends up in the log line of the invocation.
    pub metrics: MetricsRecorder,
}

impl Request {
    /// When a route must return, because the reply takes time too.
    pub fn answer_by(&self) -> Instant {
        self.deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(self.deadline)
    }

    /// When a route that has not returned is dropped: half-way between [`Request::answer_by`] and the deadline.
    pub(crate) fn give_up_at(&self) -> Instant {
        self.deadline.checked_sub(TIME_TO_ANSWER / 2).unwrap_or(self.deadline)
    }

    /// The action that the frame names.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if it names none.
    pub fn action(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(expecting = "a JSON object")]
        struct Action {
            action: String,
        }

        Ok(self.body::<Action>()?.action)
    }

    /// Who sends the entry that the frame asks for, and when.
    pub fn authorship(&self, client_message_id: Option<ClientMessageId>) -> Authorship {
        Authorship {
            sender: self.user.clone(),
            is_backend: self.origin == Origin::Backend,
            received_at: self.received_at,
            client_message_id,
        }
    }

    /// Parses the frame as the type of an action.
    ///
    /// # Errors
    /// [`Error::BadRequest`], which names the field and the fault.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        codec::parse(&self.frame)
    }
}

/// A request to open a connection. Nothing in it is proved.
///
/// It is not `Debug`, so that no token reaches a log.
#[derive(Clone, Default)]
pub struct ConnectRequest {
    /// Every `userId` of the query, decoded.
    pub user_ids: Vec<String>,
    /// Every `token` of the query, decoded.
    pub tokens: Vec<String>,
    /// The subprotocols that the client offers; one of them may be a token.
    pub subprotocols: Vec<String>,
    /// Every `Origin` header. A browser sends one; other clients can send any.
    pub origins: Vec<String>,
    /// When API Gateway received the request.
    pub received_at: Timestamp,
}

/// The proved user of a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user of the connection for as long as it is open.
    pub user: UserId,
    /// When the token expires that proved the user; none in open mode.
    pub expires_at: Option<UnixSeconds>,
}
