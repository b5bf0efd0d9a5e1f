//! Ids in the format of API Gateway's connections, requests and messages.

use base64::{Engine, engine::general_purpose::URL_SAFE};

/// A new id of 16 characters, the last of which is `=`: `L0SM9cOFvHcCIhw=`. It must be percent-encoded in a URL.
pub(super) fn new_id() -> String {
    URL_SAFE.encode(&uuid::Uuid::new_v4().as_bytes()[..11])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_16_characters_long_and_ends_in_an_equals_sign() {
        let (one, other) = (new_id(), new_id());
        assert_eq!((one.len(), one.find('=')), (16, Some(15)));
        assert_ne!(one, other);
    }
}
