//! Everything that can go wrong in a route, and what a client is told of it.

use std::{borrow::Cow, error::Error as StdError};

/// Why a request was not done. Nothing is stored half; after [`Error::Unavailable`] and [`Error::Internal`] a message
/// may be stored whole, which a repeat finds out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The frame is not what the protocol says; the text says what to change.
    #[error("bad request: {0}")]
    BadRequest(Cow<'static, str>),
    /// More bytes than fit; the text says how many do.
    #[error("too large: {0}")]
    TooLarge(&'static str),
    /// No route has this name.
    #[error("unknown action")]
    UnknownAction,
    /// The event carries no user that an authorizer proved.
    #[error("unauthenticated: {0}")]
    Unauthenticated(&'static str),
    /// The token that the caller connected with has expired.
    #[error("token expired")]
    TokenExpired,
    /// The caller may not do that.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// More messages than one user may send.
    #[error("more than {per_second} messages a second; send the same again in {retry_after} milliseconds")]
    RateLimited {
        /// How many they may, on average.
        per_second: u32,
        /// When the same may come again, in milliseconds from now.
        retry_after: i64,
    },
    /// Too many messages follow the newest one that the client holds.
    #[error("out of date")]
    OutOfDate,
    /// An outside system did not answer in time, or asked to slow down: worth another attempt.
    #[error("unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A [`Error::BadRequest`] with this advice, cut where a client's own value made it long.
    pub fn bad_request(advice: impl Into<Cow<'static, str>>) -> Self {
        const LONGEST: usize = 300;
        let mut advice = advice.into();
        if advice.len() > LONGEST {
            let end = advice.floor_char_boundary(LONGEST);
            advice = format!("{}…", &advice[..end]).into();
        }
        Self::BadRequest(advice)
    }

    /// The code that the protocol has for it.
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

    /// What a client is told to do; never more of a cause of ours than that there was one.
    pub fn message(&self) -> Cow<'_, str> {
        match self {
            Self::BadRequest(advice) => Cow::Borrowed(advice),
            Self::RateLimited { .. } => self.to_string().into(),
            Self::TooLarge(advice) | Self::Unauthenticated(advice) | Self::Forbidden(advice) => Cow::Borrowed(advice),
            Self::UnknownAction => {
                "unknown action; there are sendMessage, getMessages, getConversations, markRead and ping".into()
            }
            Self::TokenExpired => "the token has expired; connect again with a new one".into(),
            Self::OutOfDate => "more than 1,000 messages follow lastSeq; get them with getMessages first".into(),
            Self::Unavailable(_) => "the service is busy; send the same again in a moment".into(),
            Self::Internal(_) => "something failed on our side; send the same again".into(),
        }
    }

    /// When the same may come again, in milliseconds from now, where that is known.
    pub fn retry_after(&self) -> Option<i64> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether it is for us to look into, not for the client.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Internal(_))
    }
}

/// An error with all its causes, for a log.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
