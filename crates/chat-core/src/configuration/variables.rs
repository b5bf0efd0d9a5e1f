//! `Variables`: the look-up of environment variables, passed in so that tests change nothing global.

use std::{fmt, ops::RangeInclusive, sync::Arc};

/// The environment variables of a function.
#[derive(Clone)]
pub(super) struct Variables(Arc<GetVariable>);

type GetVariable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// An environment variable that is missing or invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {advice}")]
pub struct InvalidConfiguration {
    pub(super) name: &'static str,
    pub(super) advice: &'static str,
}

impl Variables {
    pub(super) fn new(variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variables))
    }

    /// The variables of this process.
    pub(super) fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// A variable that is set and contains more than white space.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    pub(super) fn required(&self, name: &'static str) -> Result<String, InvalidConfiguration> {
        self.optional(name).ok_or(InvalidConfiguration { name, advice: "is not set" })
    }

    /// Text that is compared with a token's. A space at an end would make it differ from every token's.
    pub(super) fn text(&self, name: &'static str) -> Result<String, InvalidConfiguration> {
        self.optional_text(name)?.ok_or(InvalidConfiguration { name, advice: "is not set" })
    }

    /// As [`Variables::text`], if the variable is set.
    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<String>, InvalidConfiguration> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        match is_printable && text.trim() == text {
            true => Ok(Some(text)),
            false => {
                Err(InvalidConfiguration { name, advice: "must be printable ASCII without a space at either end" })
            }
        }
    }

    /// Whether the variable has the value `on`, and not `off`.
    pub(super) fn switch(
        &self,
        name: &'static str,
        on: &str,
        advice: &'static str,
    ) -> Result<bool, InvalidConfiguration> {
        match self.required(name)?.as_str() {
            value if value == on => Ok(true),
            "off" => Ok(false),
            _ => Err(InvalidConfiguration { name, advice }),
        }
    }

    pub(super) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
        advice: &'static str,
    ) -> Result<u32, InvalidConfiguration> {
        let number = self.required(name)?.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or(InvalidConfiguration { name, advice })
    }
}

impl fmt::Debug for Variables {
    /// Without values, because some are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}
