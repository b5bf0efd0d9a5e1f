//! `Error`: why a request failed, and what the client is told.

use std::{borrow::Cow, error::Error as StdError};

/// Why a request failed. Nothing is stored in part. After [`Error::Unavailable`] and [`Error::Internal`] an entry may be
/// stored; a repeat with the same `clientMessageId` finds out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The frame breaks the protocol; the text says what to change.
    #[error("bad request: {0}")]
    BadRequest(Cow<'static, str>),
    /// The frame exceeds a limit in bytes; the text names the limit.
    #[error("too large: {0}")]
    TooLarge(&'static str),
    /// No route has the frame's `action`.
    #[error("unknown action")]
    UnknownAction,
    /// The event carries no user that the authorizer proved.
    #[error("unauthenticated: {0}")]
    Unauthenticated(&'static str),
    /// The token that the connection was opened with has expired.
    #[error("token expired")]
    TokenExpired,
    /// The caller is known, and not allowed to do this.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// The user, or all members of the group together, send more entries than the rate limit allows.
    #[error("rate limited")]
    RateLimited {
        /// The rate limit, in entries a second on average.
        per_second: u32,
        /// Time until the same request can succeed, in milliseconds.
        retry_after_ms: i64,
    },
    /// More than 1,000 entries follow the newest one that the client holds.
    #[error("out of date")]
    OutOfDate,
    /// An AWS service or the token issuer did not answer in time, or throttled the call. A retry can succeed.
    #[error("unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// A fault of the service, to be looked into.
    #[error("internal error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A [`Error::BadRequest`]. The advice is cut at 300 bytes, because it may quote a value of the client's.
    pub fn bad_request(advice: impl Into<Cow<'static, str>>) -> Self {
        const LONGEST: usize = 300;
        let mut advice = advice.into();
        if advice.len() > LONGEST {
            let end = advice.floor_char_boundary(LONGEST);
            advice = format!("{}…", &advice[..end]).into();
        }
        Self::BadRequest(advice)
    }

    /// The `code` of the error frame.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::TooLarge(_) => "too_large",
            Self::UnknownAction => "unknown_action",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::Forbidden(_) => "forbidden",
            Self::RateLimited { .. } => "rate_limited",
            Self::OutOfDate => "out_of_date",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// The `message` of the error frame: what the client can do. It never contains the cause of a fault of the service.
    pub fn message(&self) -> Cow<'_, str> {
        match self {
            Self::BadRequest(advice) => Cow::Borrowed(advice),
            Self::TooLarge(advice) | Self::Unauthenticated(advice) | Self::Forbidden(advice) => Cow::Borrowed(advice),
            Self::RateLimited { per_second, retry_after_ms } => format!(
                "more than {per_second} messages a second; send the same frame again in {retry_after_ms} milliseconds"
            )
            .into(),
            Self::UnknownAction => {
                "unknown action; use sendMessage, getMessages, getConversations, markRead, editMessage, deleteMessage, react, \
                 createGroup, changeGroup, getGroup, typing, getPresence or ping"
                    .into()
            }
            Self::TokenExpired => "the token has expired; connect again with a new one".into(),
            Self::OutOfDate => "more than 1,000 entries follow lastSeq; get them with getMessages first".into(),
            Self::Unavailable(_) => "the service is busy; send the same frame again in a moment".into(),
            Self::Internal(_) => "the service failed; send the same frame again".into(),
        }
    }

    /// The `retryAfter` of the error frame, in milliseconds, if it is known.
    pub fn retry_after_ms(&self) -> Option<i64> {
        match self {
            Self::RateLimited { retry_after_ms, .. } => Some(*retry_after_ms),
            _ => None,
        }
    }

    /// Whether the operator has to look into it. Every other error is the client's to correct.
    pub fn is_fault_of_service(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Internal(_))
    }
}

/// An error with its causes, outermost first, for the log.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
