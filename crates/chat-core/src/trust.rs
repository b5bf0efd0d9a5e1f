//! Whom the calls of AWS's services trust.

use aws_smithy_http_client::tls::TrustStore;

/// The roots of Amazon Trust Services, as <https://www.amazontrust.com/repository/> has them; all five, as it recommends
/// to those who keep a trust store of their own. The first one to expire does so at the end of 2037.
pub const AMAZON_ROOTS: &str = include_str!("amazon-roots.crt");

/// Where AWS's endpoints show certificates of Amazon Trust Services: the regions of its ordinary partition. Those of
/// China, of the European Sovereign Cloud and of the secret ones have authorities of their own.
const ORDINARY: [&str; 9] = ["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];

/// What is trusted: these certificates (PEM), or else Amazon's where only they are shown, or else the system's.
///
/// To read the system's 150 roots takes most of a function's start.
pub(crate) fn store(region: Option<&str>, certificates: Option<String>) -> TrustStore {
    let is_ordinary = |region: &str| ORDINARY.iter().any(|begin| region.starts_with(begin)) && !region.contains("-iso");
    match certificates {
        Some(certificates) => TrustStore::empty().with_pem_certificate(certificates),
        None if region.is_some_and(is_ordinary) => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        None => TrustStore::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_other_authorities_may_be_met_the_systems_roots_are_read() {
        let shown = |region, certificates| format!("{:?}", store(region, certificates));
        for region in ["eu-west-1", "us-gov-west-1", "ap-southeast-7", "mx-central-1"] {
            assert!(shown(Some(region), None).contains("enable_native_roots: false"), "{region}");
        }
        for region in [Some("cn-north-1"), Some("us-iso-east-1"), Some("us-isob-east-1"), Some("eusc-de-east-1"), None]
        {
            assert!(shown(region, None).contains("enable_native_roots: true"), "{region:?}");
            assert!(shown(region, Some("given".to_owned())).contains("enable_native_roots: false"), "{region:?}");
        }
    }
}
