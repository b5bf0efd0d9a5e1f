//! Signature verification by `ring`, which TLS uses, too.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result, new_error},
    signature::{Error, Verifier},
};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(RingVerifier { algorithm: *algorithm, scheme: scheme(*algorithm, key)? }))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Installs `ring` into `jsonwebtoken`, which is built without cryptography of its own.
pub(crate) fn install() {
    // It fails if a provider is installed. Only this function installs one, and it is always the same.
    let _ = RING.install_default();
}

/// An algorithm with a key of its family.
struct RingVerifier {
    algorithm: Algorithm,
    scheme: Scheme,
}

enum Scheme {
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
    Curve(UnparsedPublicKey<Vec<u8>>),
}

/// The verification for an algorithm and a key. It refuses a key of another family, so that a token can't choose an algorithm
/// that its key is not made for.
fn scheme(algorithm: Algorithm, key: &DecodingKey) -> Result<Scheme> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    let rsa = |parameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            Ok(Scheme::Rsa(parameters, RsaPublicKeyComponents { n: n.clone(), e: e.clone() }))
        }
        DecodingKeyKind::SecretOrDer(_) => Err(new_error(ErrorKind::InvalidKeyFormat)),
    };
    let curve = |parameters: &'static dyn VerificationAlgorithm| {
        Ok(Scheme::Curve(UnparsedPublicKey::new(parameters, key.try_get_as_bytes()?.to_vec())))
    };
    match algorithm {
        Algorithm::RS256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::ES256 => curve(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => curve(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => curve(&signature::ED25519),
        _ => Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        match &self.scheme {
            Scheme::Rsa(parameters, key) => key.verify(parameters, message, signature),
            Scheme::Curve(key) => key.verify(message, signature),
        }
        .map_err(|_| Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{crypto, jwk::Jwk};
    use serde_json::json;

    use super::*;

    /// The signed parts of RFC 7515's examples: a header and the payload.
    const SIGNED: [&str; 2] = [
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    ];

    fn verify(algorithm: Algorithm, jwk: serde_json::Value, message: &str, signature: &str) -> Result<bool> {
        install();
        let jwk: Jwk = serde_json::from_value(jwk).unwrap();
        crypto::verify(signature, message.as_bytes(), &DecodingKey::from_jwk(&jwk).unwrap(), algorithm)
    }

    #[test]
    fn the_examples_of_the_standards_verify() {
        // RFC 7515, A.2
        let rsa = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        assert!(verify(Algorithm::RS256, rsa.clone(), SIGNED[0], signature).unwrap());
        assert!(!verify(Algorithm::RS384, rsa.clone(), SIGNED[0], signature).unwrap());
        assert!(!verify(Algorithm::RS256, rsa.clone(), SIGNED[1], signature).unwrap());
        // RFC 7515, A.3
        let p256 = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(verify(Algorithm::ES256, p256.clone(), SIGNED[1], signature).unwrap());
        assert!(!verify(Algorithm::ES384, p256.clone(), SIGNED[1], signature).unwrap());
        // RFC 8037, A.4
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(verify(Algorithm::EdDSA, ed25519.clone(), message, signature).unwrap());

        for (algorithm, key) in [
            (Algorithm::EdDSA, &rsa),
            (Algorithm::RS256, &p256),
            (Algorithm::ES256, &ed25519),
            (Algorithm::HS256, &rsa),
            (Algorithm::PS256, &rsa),
        ] {
            assert!(verify(algorithm, key.clone(), message, signature).is_err(), "{algorithm:?}");
        }
    }
}
