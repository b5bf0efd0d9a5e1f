//! `Issuer`: signs tokens (JWTs) for development with a key pair in a file.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::private_file;

/// The file of the key pair in the data folder.
const FILE: &str = "issuer.pk8";

/// A key pair of this machine. A process that can read the key file can sign tokens for any user of
/// a system that trusts the key.
#[derive(Debug)]
pub struct Issuer {
    pair: Ed25519KeyPair,
    /// The key file, if this call made it.
    pub new_file: Option<PathBuf>,
}

impl Issuer {
    /// Opens the key in `folder`. Creates it if there is none.
    ///
    /// # Errors
    /// If the file can't be read or written, or does not hold a key.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        let (document, is_new) = private_file::read_or_make(folder, FILE, || {
            let document =
                Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("no randomness"))?;
            Ok(document.as_ref().to_owned())
        })?;
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| anyhow!("{} is not a key; delete it to get a new one", file.display()))?;
        Ok(Self { pair, new_file: is_new.then_some(file) })
    }

    /// The JSON Web Key Set with the public key.
    pub fn jwks(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.id(), "x": x }] })
    }

    /// Signs a token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id() });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The key's id, derived from the key.
    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.pair.public_key().as_ref()[..9])
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("new");
        let jwks = Issuer::open(&folder).unwrap().jwks();
        assert_eq!(Issuer::open(&folder).unwrap().jwks(), jwks);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, [FILE]);
        assert_eq!(fs::metadata(folder.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn programs_that_start_at_once_share_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Issuer::open(directory.path()).unwrap().jwks();
        let sets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(sets.iter().all(|set| *set == sets[0]));
    }

    #[test]
    fn a_file_that_is_not_a_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "nonsense").unwrap();
        let error = Issuer::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("issuer.pk8 is not a key; delete it"), "{error}");
    }
}
