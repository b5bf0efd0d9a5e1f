//! `CertificateAuthority`: certificates for TLS between the functions and the local services.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;
use chat_core::configuration::tls_roots::AMAZON_ROOTS;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// Usual locations of the system's root certificates.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A root certificate, and the chain for local servers: a leaf signed by an intermediate
/// certificate, as on AWS.
pub struct CertificateAuthority {
    root: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    /// Whether the `@connections` endpoint offers HTTP/2. DynamoDB never does.
    pub http2: bool,
}

impl CertificateAuthority {
    /// Generates keys and certificates.
    ///
    /// # Errors
    /// If the generation fails.
    pub fn new() -> anyhow::Result<Self> {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params.clone(), key()?)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "intermediate");
        let intermediate = CertifiedIssuer::signed_by(params, key()?, &root)?;
        let leaf_key = key()?;
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&leaf_key, &intermediate)?;
        let chain = vec![leaf.der().clone(), intermediate.der().clone()];
        Ok(Self { root: root.pem(), chain, key: leaf_key.serialize_der(), http2: true })
    }

    /// Writes two files of trusted root certificates into `folder`: the system's and Amazon's, each
    /// with this authority added. Functions therefore read as many certificates as on AWS. Returns
    /// the environment variables that name the files.
    ///
    /// # Errors
    /// If the system's roots are not found, or a file can't be written.
    pub fn write_roots(&self, folder: &Path) -> anyhow::Result<[(&'static str, String); 2]> {
        let system = SYSTEM_ROOTS.iter().find_map(|path| fs::read_to_string(path).ok());
        let system = system.context("the system's root certificates are at none of the usual locations")?;
        let write = |variable: &'static str, roots: &str| -> anyhow::Result<_> {
            let path = folder.join(variable);
            fs::write(&path, format!("{roots}\n{}", self.root))?;
            Ok((variable, path.display().to_string()))
        };
        Ok([write("SSL_CERT_FILE", &system)?, write("AWS_CA_BUNDLE", AMAZON_ROOTS)?])
    }

    /// A TLS acceptor that offers these ALPN protocols, in order of preference.
    ///
    /// # Errors
    /// If the certificates are invalid.
    pub fn acceptor(&self, protocols: &[&str]) -> anyhow::Result<TlsAcceptor> {
        let key = PrivateKeyDer::try_from(self.key.clone()).map_err(anyhow::Error::msg)?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(self.chain.clone(), key)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
