//! What a client asks, as the Lambda edge hands it to a route.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::{error::Error, frames, measurements::Measurements, user::UserId};

/// The end of an invocation that is kept for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// One event of one connection, from a user that the authorizer proved.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks. It comes from the authorizer and from nowhere else.
    pub user: UserId,
    /// On which connection.
    pub connection_id: String,
    /// When that connection began, in milliseconds since 1970, by API Gateway's clock.
    pub connected_at: i64,
    /// In seconds since 1970: when the token that proved the user loses its force. None where none was asked for.
    pub token_expires_at: Option<i64>,
    /// When API Gateway received this, in milliseconds since 1970.
    pub received_at: i64,
    /// When the function is cut off.
    pub deadline: Instant,
    /// The subprotocols that a client offered on `$connect`.
    pub subprotocols: Vec<String>,
    /// The frame as it came; empty on `$connect` and `$disconnect`.
    pub frame: String,
    /// Where it is noted what is done about it.
    pub measurements: Measurements,
}

impl Request {
    /// When a route must have an answer, whatever else it wanted to do: it takes time to be brought back, too.
    pub fn answer_by(&self) -> Instant {
        self.deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(self.deadline)
    }

    /// When a route that still has none is given up, half-way between that and the end.
    pub(crate) fn give_up_at(&self) -> Instant {
        self.deadline.checked_sub(TIME_TO_ANSWER / 2).unwrap_or(self.deadline)
    }

    /// The frame as the action's own type.
    ///
    /// # Errors
    /// [`Error::BadRequest`], naming the field and what is wrong with it.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        frames::parse(&self.frame)
    }
}

/// What somebody who wants to connect says of who they are, before anything of it is proved.
///
/// It has no `Debug` form, so that no token in it can reach a log.
#[derive(Clone, Default)]
pub struct Upgrade {
    /// Every `userId` of the query, decoded.
    pub user_ids: Vec<String>,
    /// Every `token` of the query, decoded.
    pub tokens: Vec<String>,
    /// The subprotocols that are offered; one of them may be a token.
    pub subprotocols: Vec<String>,
    /// Every `Origin`. Browsers send one, other clients what they like.
    pub origins: Vec<String>,
    /// When API Gateway received this, in milliseconds since 1970.
    pub received_at: i64,
}

/// Who connects, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user of this connection, for as long as it lasts.
    pub user: UserId,
    /// In seconds since 1970: when what proved it loses its force. None where nothing was to be proved.
    pub expires_at: Option<i64>,
}
