//! The environment, read once, before the first event.

use std::{cell::OnceCell, ops::RangeInclusive};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_types::{
    sdk_config::SharedCredentialsProvider,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use tracing::Level;

use crate::{
    clients::{Clients, ConnectionLimit},
    conversations::Conversations,
    delivery::Delivery,
    dynamodb::DynamoDb,
    messages::Messages,
    origins::Origins,
    rate_limit::{RateLimit, RateLimiter},
    trust,
};

/// Gives the value of a variable.
type Lookup = dyn Fn(&str) -> Option<String>;

/// The variables of a function, and the AWS settings that the SDK finds by itself.
pub struct Configuration {
    variables: Box<Lookup>,
    aws: OnceCell<SdkConfig>,
    dynamodb: OnceCell<DynamoDb>,
}

impl Configuration {
    /// That of this process.
    pub fn of_process() -> Self {
        Self { variables: Box::new(|name| std::env::var(name).ok()), aws: OnceCell::new(), dynamodb: OnceCell::new() }
    }

    /// One that is made up, for tests.
    pub fn new(variables: impl Fn(&str) -> Option<String> + 'static, aws: SdkConfig) -> Self {
        Self { variables: Box::new(variables), aws: OnceCell::from(aws), dynamodb: OnceCell::new() }
    }

    /// How the authorizer finds out who connects.
    ///
    /// # Errors
    /// Where `AUTH_MODE` is missing or names no mode, or, for `jwt`, one of its variables is missing or wrong.
    pub fn auth_mode(&self) -> Result<AuthMode, InvalidConfiguration> {
        const NAME: &str = "AUTH_MODE";
        match self.text(NAME)?.as_str() {
            "open" => Ok(AuthMode::Open),
            "jwt" => Ok(AuthMode::Jwt(TokenRules {
                jwks_url: self.jwks_url()?,
                issuer: self.text("JWT_ISSUER")?,
                audience: self.text("JWT_AUDIENCE")?,
                user_claim: self.optional("JWT_USER_CLAIM").unwrap_or_else(|| "sub".to_owned()),
            })),
            _ => Err(InvalidConfiguration { name: NAME, advice: "must be open or jwt" }),
        }
    }

    /// From which pages browsers may connect; without `ALLOWED_ORIGINS`, from any.
    ///
    /// # Errors
    /// Where it holds something that is no origin.
    pub fn allowed_origins(&self) -> Result<Origins, InvalidConfiguration> {
        const NAME: &str = "ALLOWED_ORIGINS";
        let advice = "must be a list with commas of origins like https://chat.example or https://*.example.com";
        Origins::parse(&self.optional(NAME).unwrap_or_default())
            .map_err(|_| InvalidConfiguration { name: NAME, advice })
    }

    /// Who can change the keys on their way is any user, so they come encrypted, or from this machine.
    fn jwks_url(&self) -> Result<String, InvalidConfiguration> {
        const NAME: &str = "JWT_JWKS_URL";
        let url = self.text(NAME)?;
        let after =
            |prefix: &str| url.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let is_here = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|prefix| after(prefix));
        let is_url = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@' && byte != b'#');
        match is_url && (after("https://") || is_here) {
            true => Ok(url),
            false => Err(InvalidConfiguration { name: NAME, advice: "must be an https:// address" }),
        }
    }

    /// What Lambda's advanced logging controls say; they are set by the template's `LoggingConfig`.
    ///
    /// DEBUG and TRACE are taken as INFO. Below that only libraries speak, and what they say is what nobody may read:
    /// the Lambda runtime prints every event as it came, with tokens and messages, and the SDK its calls.
    ///
    /// # Errors
    /// Where `AWS_LAMBDA_LOG_LEVEL` names no level.
    pub fn log(&self) -> Result<Log, InvalidConfiguration> {
        const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
        let level = match (self.variables)(LEVEL).as_deref() {
            None | Some("") => Level::INFO,
            // Lambda has one level more.
            Some(level) if level.eq_ignore_ascii_case("fatal") => Level::ERROR,
            Some(level) => level.parse().map_err(|_| InvalidConfiguration {
                name: LEVEL,
                advice: "must be TRACE, DEBUG, INFO, WARN or ERROR",
            })?,
        };
        let level = level.min(Level::INFO);
        let format = (self.variables)("AWS_LAMBDA_LOG_FORMAT").unwrap_or_default();
        Ok(Log { level, json: format.eq_ignore_ascii_case("json") })
    }

    /// Under which name of CloudWatch's the figures of the invocations are counted. Without `METRICS_NAMESPACE` they
    /// stand in the log and are not counted.
    ///
    /// # Errors
    /// Where CloudWatch would take no such name, and so nothing:
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>.
    pub fn metrics_namespace(&self) -> Result<Option<String>, InvalidConfiguration> {
        const NAME: &str = "METRICS_NAMESPACE";
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
        match self.optional(NAME) {
            Some(name) if name.len() > 255 || name.starts_with("AWS/") || !name.bytes().all(allowed) => {
                let advice = "must be 1 to 255 letters, digits and any of ._/#:- and not begin with AWS/";
                Err(InvalidConfiguration { name: NAME, advice })
            }
            name => Ok(name),
        }
    }

    /// What AWS's own variables say.
    ///
    /// Lambda gives region and credentials in the environment, so nothing else is asked for them. The SDK's own search
    /// (profiles, containers, instances, STS) would make each function larger by half, for places where none runs.
    fn aws(&self) -> Result<&SdkConfig, InvalidConfiguration> {
        if let Some(made_up) = self.aws.get() {
            return Ok(made_up);
        }
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| (self.variables)(name));
        let trusted = TlsContext::builder().with_trust_store(trust::store(region.as_deref(), self.certificates()?));
        // TLS by ring, see the root manifest.
        let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let https = match trusted.build() {
            Ok(trusted) => https.tls_context(trusted),
            Err(error) => unreachable!("a trust store is all that is asked for: {error}"),
        };
        let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(https.build_https())
            // It watches how fast long answers come. Ours are short, and each attempt has its time.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .region(region.map(Region::new))
            .credentials_provider(credentials)
            .service_config(ServiceVariables)
            .build();
        Ok(self.aws.get_or_init(|| aws))
    }

    /// The certificates that are trusted in place of Amazon's, where AWS's own variable for that is set.
    fn certificates(&self) -> Result<Option<String>, InvalidConfiguration> {
        const NAME: &str = "AWS_CA_BUNDLE";
        let Some(path) = self.optional(NAME) else { return Ok(None) };
        match std::fs::read_to_string(path) {
            Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Ok(Some(pem)),
            _ => Err(InvalidConfiguration { name: NAME, advice: "must name a file of certificates in PEM form" }),
        }
    }

    /// One client for all tables: each would build its own rules of endpoints and retries.
    fn dynamodb(&self) -> Result<&DynamoDb, InvalidConfiguration> {
        let aws = self.aws()?;
        Ok(self.dynamodb.get_or_init(|| DynamoDb::new(aws)))
    }

    /// A whole number of this range.
    fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
        advice: &'static str,
    ) -> Result<u32, InvalidConfiguration> {
        let number = self.text(name)?.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or(InvalidConfiguration { name, advice })
    }

    fn text(&self, name: &'static str) -> Result<String, InvalidConfiguration> {
        self.optional(name).ok_or(InvalidConfiguration { name, advice: "is not set" })
    }

    /// A variable that is set and holds more than white space.
    fn optional(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }
}

/// `AWS_ENDPOINT_URL_DYNAMODB` and the like, by the SDK's rule: the service's own variable before the general one.
#[derive(Debug)]
struct ServiceVariables;

impl LoadServiceConfig for ServiceVariables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        service_variable(&key, |name| std::env::var(name).ok())
    }
}

/// An empty variable counts as none: `sam local invoke` sets those so that the template leaves out.
fn service_variable(key: &ServiceConfigKey<'_>, variables: impl Fn(&str) -> Option<String>) -> Option<String> {
    let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
    let names = [format!("{}_{service}", key.env()), key.env().to_owned()];
    names.iter().find_map(|name| variables(name).filter(|value| !value.is_empty()))
}

/// How the authorizer finds out who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMode {
    /// Anyone is who they say they are: for trying out, and for nothing else.
    Open,
    /// By a token that an issuer has signed.
    Jwt(TokenRules),
}

/// Which tokens prove who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Where the issuer publishes the keys that it signs with.
    pub jwks_url: String,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or hold.
    pub audience: String,
    /// The claim that holds the user's id.
    pub user_claim: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Nothing below it is written.
    pub level: Level,
    /// As JSON objects, one a line, for machines to read.
    pub json: bool,
}

/// A variable that is missing or wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {advice}")]
pub struct InvalidConfiguration {
    name: &'static str,
    advice: &'static str,
}

/// What a route works with, made once. A route's signature so tells which variables and permissions it needs.
pub trait Provide: Sized {
    /// Makes it.
    ///
    /// # Errors
    /// Where one of its variables is missing or wrong.
    fn provide(configuration: &Configuration) -> impl Future<Output = Result<Self, InvalidConfiguration>>;
}

impl Provide for () {
    async fn provide(_: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(())
    }
}

impl Provide for Clients {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.text("CLIENTS_TABLE")?))
    }
}

impl Provide for Messages {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.text("MESSAGES_TABLE")?))
    }
}

impl Provide for Conversations {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        Ok(Self::new(configuration.dynamodb()?, configuration.text("CONVERSATIONS_TABLE")?))
    }
}

impl Provide for Delivery {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const NAME: &str = "CONNECTIONS_ENDPOINT";
        let endpoint = configuration.text(NAME)?;
        if endpoint.starts_with("https://") || endpoint.starts_with("http://") {
            Ok(Self::new(configuration.aws()?, endpoint))
        } else {
            Err(InvalidConfiguration { name: NAME, advice: "must be an https:// address" })
        }
    }
}

impl Provide for ConnectionLimit {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const ADVICE: &str = "must be a whole number from 1 to 1000";
        Ok(Self::new(configuration.number("MAX_CONNECTIONS", 1..=ConnectionLimit::MAX, ADVICE)?))
    }
}

impl Provide for RateLimiter {
    async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
        const RATE: &str = "must be a whole number from 1 to 1000";
        const BURST: &str = "must be a whole number from 1 to 100000";
        let per_second = configuration.number("MESSAGE_RATE", 1..=RateLimit::MAX_PER_SECOND, RATE)?;
        let burst = configuration.number("MESSAGE_BURST", 1..=RateLimit::MAX_BURST, BURST)?;
        Ok(Self::new(RateLimit::new(per_second, burst)))
    }
}

/// What a route works with is a tuple where it is more than one thing.
macro_rules! provide_tuples {
    ($(($($part:ident),+))+) => {$(
        impl<$($part: Provide),+> Provide for ($($part,)+) {
            async fn provide(configuration: &Configuration) -> Result<Self, InvalidConfiguration> {
                Ok(($($part::provide(configuration).await?,)+))
            }
        }
    )+};
}

provide_tuples!((A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_print_of_events_is_never_asked_for() {
        let aws = SdkConfig::builder().build();
        for (asked, level) in [
            (None, Level::INFO),
            (Some("TRACE"), Level::INFO),
            (Some("debug"), Level::INFO),
            (Some("INFO"), Level::INFO),
            (Some("WARN"), Level::WARN),
            (Some("FATAL"), Level::ERROR),
        ] {
            let configuration = Configuration::new(move |_| asked.map(str::to_owned), aws.clone());
            assert_eq!(configuration.log().unwrap().level, level, "{asked:?}");
        }
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes_and_without_it_nothing_is_counted() {
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

    #[test]
    fn a_service_s_own_endpoint_comes_first_and_an_empty_one_counts_as_none() {
        let key = ServiceConfigKey::builder().service_id("DynamoDB").env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let key = key.build().unwrap();
        for (own, general, expected) in [
            (Some("own"), Some("general"), Some("own")),
            (None, Some("general"), Some("general")),
            (Some(""), Some("general"), Some("general")),
            (Some(""), None, None),
            (None, None, None),
        ] {
            let variables = |name: &str| match name {
                "AWS_ENDPOINT_URL_DYNAMODB" => own.map(str::to_owned),
                "AWS_ENDPOINT_URL" => general.map(str::to_owned),
                other => panic!("nobody asks for {other}"),
            };
            assert_eq!(service_variable(&key, variables).as_deref(), expected, "{own:?} {general:?}");
        }
    }
}
