//! `FromConfiguration`: how a function's context is built.

use crate::{
    configuration::{environment::Configuration, variables::InvalidConfiguration},
    log::Log,
    model::{
        change::EditWindow,
        group::MemberLimit,
        rate_limit::{RateLimit, RateLimiter, RateLimits},
    },
    protocol::position::Positions,
    push::{connections_api::ConnectionsApi, fanout::Fanout},
    store::{
        connections::{ConnectionLimit, Connections},
        inboxes::Inboxes,
        members::Members,
        messages::Messages,
    },
};

/// Built once, before the first event. So a context shows which variables and permissions its function needs.
pub trait FromConfiguration: Sized {
    /// # Errors
    /// If one of its variables is missing or invalid.
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration>;
}

/// The context of a route that needs nothing.
impl FromConfiguration for () {
    fn from_configuration(_: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(())
    }
}

impl FromConfiguration for Connections {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.variables.required("CLIENTS_TABLE")?))
    }
}

impl FromConfiguration for Messages {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.variables.required("MESSAGES_TABLE")?))
    }
}

impl FromConfiguration for Inboxes {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.variables.required("CONVERSATIONS_TABLE")?))
    }
}

/// All parts of a context share what the process knows of groups.
impl FromConfiguration for Members {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        let table = configuration.variables.required("MEMBERS_TABLE")?;
        let dynamodb = configuration.dynamodb()?;
        Ok(configuration.members.get_or_init(|| Self::new(dynamodb, table)).clone())
    }
}

impl FromConfiguration for Positions {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        let key = configuration.position_key()?;
        let table = configuration.variables.required("MESSAGES_TABLE")?;
        Ok(Self::new(key.as_ref().map(String::as_bytes), table))
    }
}

impl FromConfiguration for ConnectionsApi {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const NAME: &str = "CONNECTIONS_ENDPOINT";
        let endpoint = configuration.variables.required(NAME)?;
        if endpoint.starts_with("https://") || endpoint.starts_with("http://") {
            Ok(Self::new(configuration.aws()?, endpoint))
        } else {
            Err(InvalidConfiguration { name: NAME, advice: "must be an https:// address" })
        }
    }
}

impl FromConfiguration for Fanout {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        let connections = Connections::from_configuration(configuration)?;
        Ok(Self::new(connections, ConnectionsApi::from_configuration(configuration)?))
    }
}

impl FromConfiguration for Log {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(
            Messages::from_configuration(configuration)?,
            Inboxes::from_configuration(configuration)?,
            Members::from_configuration(configuration)?,
            Fanout::from_configuration(configuration)?,
            Positions::from_configuration(configuration)?,
            RateLimiter::from_configuration(configuration)?,
        ))
    }
}

impl FromConfiguration for EditWindow {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const ADVICE: &str = "must be a whole number of minutes from 0 to 5256000";
        let minutes = configuration.variables.number("EDIT_WINDOW_MINUTES", 0..=EditWindow::MAX_MINUTES, ADVICE)?;
        Ok(Self::from_minutes(minutes))
    }
}

impl FromConfiguration for ConnectionLimit {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const ADVICE: &str = "must be a whole number from 1 to 100";
        Ok(Self::new(configuration.variables.number("MAX_CONNECTIONS", 1..=ConnectionLimit::MAX, ADVICE)?))
    }
}

impl FromConfiguration for MemberLimit {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const ADVICE: &str = "must be a whole number from 2 to 250";
        Ok(Self::new(configuration.variables.number("MAX_GROUP_MEMBERS", 2..=MemberLimit::MAX, ADVICE)?))
    }
}

impl FromConfiguration for RateLimiter {
    fn from_configuration(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const RATE: &str = "must be a whole number from 1 to 1000";
        const BURST: &str = "must be a whole number from 1 to 100000";
        let variables = &configuration.variables;
        let per_second = variables.number("MESSAGE_RATE", 1..=RateLimit::MAX_PER_SECOND, RATE)?;
        let burst = variables.number("MESSAGE_BURST", 1..=RateLimit::MAX_BURST, BURST)?;
        let group = variables.number("GROUP_RATE", 1..=RateLimit::MAX_PER_SECOND, RATE)?;
        Ok(Self::new(RateLimits {
            per_user: RateLimit::new(per_second, burst),
            per_group: RateLimit::new(group, group * RateLimit::GROUP_BURST_SECONDS),
        }))
    }
}
