//! An authority of its own, so that the functions' calls are encrypted on this machine, too.

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

/// Where most systems keep the roots that they trust.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A root, and what a server of this machine shows: a leaf under an intermediate, as AWS does.
pub struct Authority {
    root: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    /// Whether API Gateway speaks HTTP/2, too; DynamoDB doesn't.
    pub http2: bool,
}

impl Authority {
    /// Makes its keys and certificates.
    ///
    /// # Errors
    /// Where they can't be made.
    pub fn new() -> anyhow::Result<Self> {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params.clone(), key()?)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "between");
        let between = CertifiedIssuer::signed_by(params, key()?, &root)?;
        let leaf_key = key()?;
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&leaf_key, &between)?;
        let chain = vec![leaf.der().clone(), between.der().clone()];
        Ok(Self { root: root.pem(), chain, key: leaf_key.serialize_der(), http2: true })
    }

    /// Writes what a function is to trust, into this folder: Amazon's roots, or what this machine trusts, so that there is
    /// as much to read as on AWS, and this authority. Gives the variables that name the files.
    ///
    /// # Errors
    /// Where the machine's own roots are nowhere, or a file can't be written.
    pub fn write_roots(&self, folder: &Path) -> anyhow::Result<[(&'static str, String); 2]> {
        let system = ROOTS.iter().find_map(|path| fs::read_to_string(path).ok());
        let system = system.context("the machine's root certificates are at none of the usual places")?;
        let write = |variable: &'static str, roots: &str| -> anyhow::Result<_> {
            let path = folder.join(variable);
            fs::write(&path, format!("{roots}\n{}", self.root))?;
            Ok((variable, path.display().to_string()))
        };
        Ok([write("SSL_CERT_FILE", &system)?, write("AWS_CA_BUNDLE", AMAZON_ROOTS)?])
    }

    /// A server that offers these protocols, the most wanted first.
    ///
    /// # Errors
    /// None, as long as the authority's own certificates are sound.
    pub fn acceptor(&self, protocols: &[&str]) -> anyhow::Result<TlsAcceptor> {
        let key = PrivateKeyDer::try_from(self.key.clone()).map_err(anyhow::Error::msg)?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(self.chain.clone(), key)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
