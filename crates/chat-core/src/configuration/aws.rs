//! The configuration of the AWS SDK, from AWS's own variables.

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_types::{
    sdk_config::SharedCredentialsProvider,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use crate::configuration::{
    tls_roots,
    variables::{InvalidConfiguration, Variables},
};

/// The SDK's configuration in a Lambda function.
///
/// Lambda sets region and credentials in the environment, so nothing else is searched. The SDK's own search (profiles,
/// containers, instances, STS) would make each function larger by half, for environments in which no function runs.
pub(super) fn sdk_config(variables: &Variables) -> Result<SdkConfig, InvalidConfiguration> {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| variables.optional(name));
    let roots = tls_roots::tls_roots(region.as_deref(), ca_bundle(variables)?);
    // TLS by ring, see the root manifest.
    let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let https = match TlsContext::builder().with_trust_store(roots).build() {
        Ok(tls) => https.tls_context(tls),
        Err(error) => unreachable!("the context has a trust store only: {error}"),
    };
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(https.build_https())
        // It watches the throughput of long responses. Ours are short, and each attempt has a time-out.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .service_config(ServiceVariables(variables.clone()))
        .build())
}

/// The certificates in the file that AWS's own variable names; they replace the default TLS roots.
fn ca_bundle(variables: &Variables) -> Result<Option<String>, InvalidConfiguration> {
    const NAME: &str = "AWS_CA_BUNDLE";
    let Some(path) = variables.optional(NAME) else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => Ok(Some(pem)),
        _ => Err(InvalidConfiguration { name: NAME, advice: "must name a file of certificates in PEM form" }),
    }
}

/// `AWS_ENDPOINT_URL_DYNAMODB` and the like, by the SDK's rule: a service's own variable before the general one.
///
/// An empty variable counts as none, because `sam local invoke` sets each variable of the template that has no value.
#[derive(Debug)]
struct ServiceVariables(Variables);

impl LoadServiceConfig for ServiceVariables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        let names = [format!("{}_{service}", key.env()), key.env().to_owned()];
        names.iter().find_map(|name| self.0.optional(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let variables = Variables::new(move |name| match name {
                "AWS_ENDPOINT_URL_DYNAMODB" => own.map(str::to_owned),
                "AWS_ENDPOINT_URL" => general.map(str::to_owned),
                other => panic!("{other} is not a variable of the endpoint"),
            });
            assert_eq!(
                ServiceVariables(variables).load_config(key.clone()).as_deref(),
                expected,
                "{own:?} {general:?}"
            );
        }
    }
}
