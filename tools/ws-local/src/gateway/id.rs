//! Ids of the shape that API Gateway gives its connections, requests and messages.

use base64::{Engine, engine::general_purpose::URL_SAFE};

/// 16 characters that end in `=`, as every id of API Gateway does: `L0SM9cOFvHcCIhw=`. In a URL it must be encoded.
pub(super) fn fresh() -> String {
    URL_SAFE.encode(&uuid::Uuid::new_v4().as_bytes()[..11])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_16_characters_long_and_ends_in_an_equals_sign() {
        let (one, other) = (fresh(), fresh());
        assert_eq!((one.len(), one.find('=')), (16, Some(15)));
        assert_ne!(one, other);
    }
}
