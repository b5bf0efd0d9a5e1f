//! TLS root certificates for AWS endpoints.

use aws_smithy_http_client::tls::TrustStore;

/// The five root certificates of Amazon Trust Services, from <https://www.amazontrust.com/repository/>, which recommends
/// all five for a trust store of one's own. The first expires at the end of 2037.
pub const AMAZON_ROOTS: &str = include_str!("../../assets/amazon-roots.crt");

/// The regions whose endpoints have certificates of Amazon Trust Services: those of the standard partition. China, the
/// European Sovereign Cloud and the isolated regions have other authorities, and for GovCloud no document names one.
const STANDARD: [&str; 9] = ["af-", "ap-", "ca-", "eu-", "il-", "me-", "mx-", "sa-", "us-"];

/// The given certificates (PEM); without any, Amazon's in a region that uses only those; otherwise the system's.
///
/// Amazon's five are preferred because parsing the system's 150 roots takes most of a function's start.
pub(super) fn tls_roots(region: Option<&str>, certificates: Option<String>) -> TrustStore {
    let is_standard = |region: &str| {
        let is_other_partition = ["-iso", "-gov-"].iter().any(|part| region.contains(part));
        STANDARD.iter().any(|begin| region.starts_with(begin)) && !is_other_partition
    };
    match certificates {
        Some(certificates) => TrustStore::empty().with_pem_certificate(certificates),
        None if region.is_some_and(is_standard) => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        None => TrustStore::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_roots_are_read_in_regions_with_other_authorities() {
        let roots = |region, certificates| format!("{:?}", tls_roots(region, certificates));
        for region in ["eu-west-1", "us-east-1", "ap-southeast-7", "mx-central-1"] {
            assert!(roots(Some(region), None).contains("enable_native_roots: false"), "{region}");
        }
        for region in [
            Some("cn-north-1"),
            Some("us-gov-west-1"),
            Some("us-iso-east-1"),
            Some("us-isob-east-1"),
            Some("eusc-de-east-1"),
            None,
        ] {
            assert!(roots(region, None).contains("enable_native_roots: true"), "{region:?}");
            assert!(roots(region, Some("given".to_owned())).contains("enable_native_roots: false"), "{region:?}");
        }
    }
}
