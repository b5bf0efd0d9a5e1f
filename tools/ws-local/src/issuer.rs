//! An issuer of tokens (JWTs) for trying out: a key pair in a file, and what it signs.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, anyhow};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Where its key pair is, in the folder of what is kept.
const FILE: &str = "issuer.pk8";

/// A key pair of this machine. Whoever can read its file can be anybody here, and nobody anywhere else.
#[derive(Debug)]
pub struct Issuer {
    pair: Ed25519KeyPair,
}

impl Issuer {
    /// The one of this folder; it is made where there is none yet.
    ///
    /// # Errors
    /// Where the file can't be read or written, or holds something else.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        let document = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(folder, &file).with_context(|| format!("can't make the key {}", file.display()))?;
                fs::read(&file)
            }
            read => read,
        };
        let document = document.with_context(|| format!("can't read the key {}", file.display()))?;
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| anyhow!("{} is no key; delete it, and a new one is made", file.display()))?;
        Ok(Self { pair })
    }

    /// The set of its public keys, as an issuer publishes it.
    pub fn jwks(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.id(), "x": x }] })
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id() });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A name that another key does not have.
    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.pair.public_key().as_ref()[..9])
    }
}

/// Makes the file in one step, so that two programs that do it at once end up with one key.
fn make(folder: &Path, file: &Path) -> anyhow::Result<()> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| anyhow!("no randomness"))?;
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{FILE}.{}.draft", Uuid::new_v4()));
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(document.as_ref())?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
    fn what_is_no_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "nonsense").unwrap();
        let error = Issuer::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("issuer.pk8 is no key; delete it"), "{error}");
    }
}
