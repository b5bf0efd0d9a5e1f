//! `Configuration`: the environment of a function, read once, before the first event.

use std::cell::OnceCell;

use aws_config::SdkConfig;
use tracing::Level;

use crate::{
    configuration::{
        aws::sdk_config,
        origins::Origins,
        variables::{InvalidConfiguration, Variables},
    },
    lambda::LogSettings,
    store::{dynamodb::DynamoDbClient, members::Members},
};

/// The environment variables of a function, parsed into types. An error names the variable.
pub struct Configuration {
    pub(super) variables: Variables,
    aws: OnceCell<SdkConfig>,
    dynamodb: OnceCell<DynamoDbClient>,
    pub(super) members: OnceCell<Members>,
}

/// How the authorizer identifies a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMode {
    /// By the user id that the client sends, without proof. For trials only.
    Open,
    /// By a token that an issuer has signed.
    Jwt(TokenRules),
}

/// Where users see that others are typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypingMode {
    /// Nowhere.
    Off,
    /// In direct conversations.
    Direct,
    /// In direct conversations and in small groups.
    SmallGroups,
}

/// Which tokens prove a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// The address of the issuer's public keys.
    pub jwks_url: String,
    /// The required `iss`.
    pub issuer: String,
    /// The required `aud`, or a member of it.
    pub audience: String,
    /// The claim that contains the user id.
    pub user_claim: String,
}

impl Configuration {
    /// The configuration of this process.
    pub(crate) fn from_environment() -> Self {
        Self {
            variables: Variables::of_process(),
            aws: OnceCell::new(),
            dynamodb: OnceCell::new(),
            members: OnceCell::new(),
        }
    }

    /// A configuration for tests.
    pub fn new(variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static, aws: SdkConfig) -> Self {
        Self {
            variables: Variables::new(variables),
            aws: OnceCell::from(aws),
            dynamodb: OnceCell::new(),
            members: OnceCell::new(),
        }
    }

    /// `AUTH_MODE`, and for `jwt` the variables that begin with `JWT_`.
    ///
    /// # Errors
    /// If one of them is missing or invalid.
    pub fn auth_mode(&self) -> Result<AuthMode, InvalidConfiguration> {
        const NAME: &str = "AUTH_MODE";
        match self.variables.required(NAME)?.as_str() {
            "open" => Ok(AuthMode::Open),
            "jwt" => Ok(AuthMode::Jwt(TokenRules {
                jwks_url: self.jwks_url()?,
                issuer: self.variables.text("JWT_ISSUER")?,
                audience: self.variables.text("JWT_AUDIENCE")?,
                user_claim: self.variables.optional_text("JWT_USER_CLAIM")?.unwrap_or_else(|| "sub".to_owned()),
            })),
            _ => Err(InvalidConfiguration { name: NAME, advice: "must be open or jwt" }),
        }
    }

    /// `ALLOWED_ORIGINS`; without it, every origin is allowed.
    ///
    /// # Errors
    /// If an entry of the list is not an origin.
    pub fn allowed_origins(&self) -> Result<Origins, InvalidConfiguration> {
        const NAME: &str = "ALLOWED_ORIGINS";
        let advice = "must be a list of origins such as https://chat.example or https://*.example.com, separated by \
                      commas, in lower case, without a path or a slash at the end";
        Origins::parse(&self.variables.optional(NAME).unwrap_or_default())
            .map_err(|_| InvalidConfiguration { name: NAME, advice })
    }

    /// `TYPING`: where users see that others are typing.
    ///
    /// # Errors
    /// If it is none of `off`, `direct` and `small`.
    pub fn typing(&self) -> Result<TypingMode, InvalidConfiguration> {
        const NAME: &str = "TYPING";
        match self.variables.required(NAME)?.as_str() {
            "off" => Ok(TypingMode::Off),
            "direct" => Ok(TypingMode::Direct),
            "small" => Ok(TypingMode::SmallGroups),
            _ => Err(InvalidConfiguration { name: NAME, advice: "must be off, direct or small" }),
        }
    }

    /// `PRESENCE`: whether users see which of their contacts are online.
    ///
    /// # Errors
    /// If it is neither `contacts` nor `off`.
    pub fn is_presence_on(&self) -> Result<bool, InvalidConfiguration> {
        self.variables.switch("PRESENCE", "contacts", "must be contacts or off")
    }

    /// `POSITION_KEY`, which signs positions. Without it, no positions are given.
    ///
    /// # Errors
    /// If it has fewer than 32 characters.
    pub(super) fn position_key(&self) -> Result<Option<String>, InvalidConfiguration> {
        const NAME: &str = "POSITION_KEY";
        match self.variables.optional(NAME) {
            // `sam local invoke` passes the template's reference to the secret on, and that text is no secret.
            Some(reference) if reference.starts_with("{{resolve:") => Ok(None),
            Some(key) if key.len() < 32 => {
                Err(InvalidConfiguration { name: NAME, advice: "must have at least 32 characters" })
            }
            key => Ok(key),
        }
    }

    /// The keys must come over TLS or from this machine: an attacker who replaces them can sign a token of any user.
    ///
    /// The parameter `JwtJwksUrl` of the template has a pattern for the same URLs.
    fn jwks_url(&self) -> Result<String, InvalidConfiguration> {
        const NAME: &str = "JWT_JWKS_URL";
        let url = self.variables.required(NAME)?;
        let is_local = |host: &str| ["127.0.0.1", "localhost", "[::1]"].contains(&host);
        let is_valid = match url.split_once("://") {
            Some(("https", rest)) => is_host_and_path(rest, is_host_name),
            Some(("http", rest)) => is_host_and_path(rest, is_local),
            _ => false,
        };
        match is_valid {
            true => Ok(url),
            false => {
                Err(InvalidConfiguration { name: NAME, advice: "must be an https:// URL without a user and without #" })
            }
        }
    }

    /// The variables of Lambda's advanced logging controls, which the template's `LoggingConfig` sets.
    ///
    /// DEBUG and TRACE count as INFO. At these levels only libraries log, and they would log secrets: the Lambda runtime
    /// logs every event with its tokens and messages, and the SDK logs its calls.
    ///
    /// # Errors
    /// If `AWS_LAMBDA_LOG_LEVEL` is not a level.
    pub fn log(&self) -> Result<LogSettings, InvalidConfiguration> {
        const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
        let level = match self.variables.optional(LEVEL).as_deref() {
            None => Level::INFO,
            // Lambda has this level, and `tracing` does not.
            Some(level) if level.eq_ignore_ascii_case("fatal") => Level::ERROR,
            Some(level) => level.parse().map_err(|_| InvalidConfiguration {
                name: LEVEL,
                advice: "must be TRACE, DEBUG, INFO, WARN or ERROR",
            })?,
        };
        Ok(LogSettings { level: level.min(Level::INFO), ..self.log_of_errors() })
    }

    /// A log of errors only, in the configured format.
    pub(crate) fn log_of_errors(&self) -> LogSettings {
        let format = self.variables.optional("AWS_LAMBDA_LOG_FORMAT").unwrap_or_default();
        LogSettings { level: Level::ERROR, json: format.eq_ignore_ascii_case("json") }
    }

    /// The function's name, which Lambda sets.
    pub(crate) fn function_name(&self) -> Option<String> {
        self.variables.optional("AWS_LAMBDA_FUNCTION_NAME")
    }

    /// `METRICS_NAMESPACE`, the CloudWatch namespace of the metrics. Without it, the metrics are fields of the log lines and
    /// CloudWatch does not count them.
    ///
    /// # Errors
    /// If CloudWatch would refuse the namespace, and with it every metric:
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>.
    pub fn metrics_namespace(&self) -> Result<Option<String>, InvalidConfiguration> {
        const NAME: &str = "METRICS_NAMESPACE";
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
        match self.variables.optional(NAME) {
            Some(name) if name.len() > 255 || name.starts_with("AWS/") || !name.bytes().all(is_allowed) => {
                let advice = "must be 1 to 255 letters, digits and any of ._/#:- and not begin with AWS/";
                Err(InvalidConfiguration { name: NAME, advice })
            }
            name => Ok(name),
        }
    }

    pub(super) fn aws(&self) -> Result<&SdkConfig, InvalidConfiguration> {
        if let Some(aws) = self.aws.get() {
            return Ok(aws);
        }
        let aws = sdk_config(&self.variables)?;
        Ok(self.aws.get_or_init(|| aws))
    }

    /// One client for all tables, because each client builds its own endpoint and retry rules.
    pub(super) fn dynamodb(&self) -> Result<&DynamoDbClient, InvalidConfiguration> {
        let aws = self.aws()?;
        Ok(self.dynamodb.get_or_init(|| DynamoDbClient::new(aws)))
    }
}

/// Whether this is a host with an optional port and an optional path. The path may have a query.
fn is_host_and_path(text: &str, is_host: impl Fn(&str) -> bool) -> bool {
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    // The characters of RFC 3986 without `#`.
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte);
    is_host(host) && port.is_none_or(is_port) && path.bytes().all(is_path)
}

fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_at_which_libraries_log_events_are_never_enabled() {
        let aws = SdkConfig::builder().build();
        for (variable, level) in [
            (None, Level::INFO),
            (Some("TRACE"), Level::INFO),
            (Some("debug"), Level::INFO),
            (Some("INFO"), Level::INFO),
            (Some("WARN"), Level::WARN),
            (Some("FATAL"), Level::ERROR),
        ] {
            let configuration = Configuration::new(move |_| variable.map(str::to_owned), aws.clone());
            assert_eq!(configuration.log().unwrap().level, level, "{variable:?}");
        }
    }

    #[test]
    fn a_key_of_positions_is_long_and_not_a_reference_to_a_secret() {
        let aws = SdkConfig::builder().build();
        let key = |value: &str| {
            let value = Some(value.to_owned());
            Configuration::new(move |_| value.clone(), aws.clone()).position_key()
        };
        let long = "x".repeat(32);
        assert_eq!(key(&long), Ok(Some(long.clone())));
        for absent in ["", " ", "{{resolve:secretsmanager:PositionKey}}"] {
            assert_eq!(key(absent), Ok(None), "{absent}");
        }
        let error = key(&long[1..]).unwrap_err().to_string();
        assert_eq!(error, "the environment variable POSITION_KEY must have at least 32 characters");
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_accepts_and_without_it_nothing_is_counted() {
        let aws = SdkConfig::builder().build();
        let namespace =
            |value: Option<String>| Configuration::new(move |_| value.clone(), aws.clone()).metrics_namespace();
        assert_eq!(namespace(None), Ok(None));
        assert_eq!(namespace(Some(" ".to_owned())), Ok(None));
        for good in ["chat", "chat/prod-2", &"x".repeat(255)] {
            assert_eq!(namespace(Some(good.to_owned())), Ok(Some(good.to_owned())));
        }
        for bad in ["AWS/Lambda", "my chat", "Gespräch", "a\"b", &"x".repeat(256)] {
            let error = namespace(Some(bad.to_owned())).unwrap_err();
            assert!(error.to_string().starts_with("the environment variable METRICS_NAMESPACE must be"), "{error}");
        }
    }
}
