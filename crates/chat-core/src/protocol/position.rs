//! `Positions`: signed descriptions of the end of a conversation, which the server gives and clients hand back.
//!
//! A position holds the sequence number of an entry and the state of its conversation as of that entry. A sender that
//! hands one back has proved that the entry exists, so its message can be put into the slot after it without a look at
//! the conversation. If that slot is taken, the position was not the end, and the sender has lost one round trip.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::model::{
    conversation::{ConversationId, Seq},
    entry::{End, Entry},
    state::ConversationState,
    time::Timestamp,
    user::UserId,
};

/// The first byte of a position. Positions of another format count as unreadable.
const FORMAT: u8 = 1;
/// The length of the MAC in bytes: HMAC-SHA-256, truncated to 128 bits as RFC 4868 does.
const MAC_BYTES: usize = 16;
/// Longer texts are no positions. One has at most 132 characters.
const MAX_CHARACTERS: usize = 132;

/// A position as it is on the wire: opaque text of about 64 characters. Any text is accepted from a client, because one
/// that proves nothing is not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(String);

/// Makes and reads positions. Without a key it makes none, and none proves anything.
///
/// The MAC covers the table of messages and the conversation, too. So a position is worth nothing in another conversation,
/// in another stack, and after a restoration of the table, which DynamoDB does into a new one.
#[derive(Clone)]
pub struct Positions {
    key: Option<hmac::Key>,
    messages_table: String,
}

/// What a position of a client tells about a conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The server gave this position: the entry exists, and so does each one before it.
    Proof(End),
    /// The position can't be verified, as after a change of the key. The client claims to hold this entry and each one
    /// before it; the conversation may have no such entry.
    Claim(Seq),
    /// This is not a position.
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    seq: Seq,
    /// Which of the two users wrote the entry; both ids together can have 256 bytes.
    is_sent_by_larger: bool,
    created_at: Timestamp,
    state: ConversationState,
}

impl Positions {
    /// Positions in the conversations of this table. The key has at least 32 bytes.
    pub fn new(key: Option<&[u8]>, messages_table: String) -> Self {
        Self { key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)), messages_table }
    }

    /// The position of a stored entry; none without a key. `state` is the conversation's as of the entry.
    pub fn of(&self, entry: &Entry, state: ConversationState) -> Option<Position> {
        let key = self.key.as_ref()?;
        let payload = Payload {
            seq: *entry.seq(),
            is_sent_by_larger: entry.sender_id() > entry.recipient_id(),
            created_at: *entry.created_at(),
            state,
        };
        let mut bytes = postcard::to_extend(&payload, vec![FORMAT]).expect("a payload holds numbers only");
        let mac = self.mac(key, entry.conversation_id(), &bytes);
        bytes.extend(mac);
        Some(Position(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What `position` tells about the conversation of two users, given in any order.
    pub fn read(&self, position: &Position, (one, other): (&UserId, &UserId)) -> Evidence {
        let text = Some(&position.0).filter(|text| text.len() <= MAX_CHARACTERS);
        let Some(bytes) = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else { return Evidence::Nothing };
        let Some((signed, mac)) = bytes.split_last_chunk::<MAC_BYTES>() else { return Evidence::Nothing };
        let Some(payload) = Payload::from_bytes(signed) else { return Evidence::Nothing };
        let conversation = ConversationId::between(one, other);
        let is_valid = self.key.as_ref().is_some_and(|key| self.mac(key, &conversation, signed).ct_eq(mac).into());
        if !is_valid {
            return Evidence::Claim(payload.seq);
        }
        let sender = if payload.is_sent_by_larger { one.max(other) } else { one.min(other) };
        Evidence::Proof(End {
            seq: payload.seq,
            sender_id: sender.clone(),
            created_at: payload.created_at,
            state: payload.state,
        })
    }

    fn mac(&self, key: &hmac::Key, conversation: &ConversationId, signed: &[u8]) -> [u8; MAC_BYTES] {
        let mut context = hmac::Context::with_key(key);
        // Neither a table's name nor a conversation's id contains a NUL, so no two inputs are the same bytes.
        for part in [self.messages_table.as_bytes(), b"\0", conversation.as_str().as_bytes(), b"\0", signed] {
            context.update(part);
        }
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&context.sign().as_ref()[..MAC_BYTES]);
        mac
    }
}

impl Payload {
    fn from_bytes(signed: &[u8]) -> Option<Self> {
        let (&FORMAT, payload) = signed.split_first()? else { return None };
        let (payload, rest) = postcard::take_from_bytes(payload).ok()?;
        rest.is_empty().then_some(payload)
    }
}

impl fmt::Debug for Positions {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Positions").field("messages_table", &self.messages_table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};
    use serde_json::json;
    use support::strategies::cases;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn positions() -> Positions {
        Positions::new(Some(KEY), "Messages".to_owned())
    }

    fn user(id: &str) -> UserId {
        UserId::try_from(id.to_owned()).unwrap()
    }

    fn message(seq: u64, sender: &UserId, recipient: &UserId) -> Entry {
        let message = json!({
            "messageId": "3f0c7a52-7b1e-4f0e-9d3c-0a5b1c2d3e4f",
            "conversationId": ConversationId::between(sender, recipient),
            "seq": seq,
            "senderId": sender,
            "recipientId": recipient,
            "content": "Hi",
            "createdAt": 1_793_535_561_000_i64,
        });
        Entry::Message(serde_json::from_value(message).unwrap())
    }

    fn state(numbers: (u64, i64, i64, u32)) -> ConversationState {
        let (recipient_seq, sender, recipient, hour) = numbers;
        let state = json!({
            "recipientSeq": recipient_seq, "senderAllowance": sender, "recipientAllowance": recipient, "listed": hour,
        });
        serde_json::from_value(state).unwrap()
    }

    fn numbers() -> impl Strategy<Value = (u64, i64, i64, u32)> {
        (0..=9_007_199_254_740_991_u64, any::<i64>(), any::<i64>(), any::<u32>())
    }

    /// A position in the conversation of alice and bob.
    fn position(seq: u64) -> Position {
        let numbers = (seq - 1, 1_793_535_561_200_000, 1_793_535_000_000_000, 498_204);
        positions().of(&message(seq, &user("alice"), &user("bob")), state(numbers)).unwrap()
    }

    #[test]
    fn its_length_is_about_64_characters() {
        assert_eq!([1, 1_000, 1_000_000].map(|seq| position(seq).0.len()), [64, 67, 70]);
    }

    #[test]
    fn without_a_key_none_is_given_and_none_proves_anything() {
        let (alice, bob) = (user("alice"), user("bob"));
        let keyless = Positions::new(None, "Messages".to_owned());
        assert_eq!(keyless.of(&message(1, &alice, &bob), ConversationState::default()), None);
        assert_eq!(
            keyless.read(&position(5), (&alice, &bob)),
            Evidence::Claim(Seq::NONE.next().next().next().next().next())
        );
    }

    #[test]
    fn it_proves_nothing_in_another_conversation_another_table_or_with_another_key() {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let position = position(3);
        let is_proof = |positions: &Positions, users| matches!(positions.read(&position, users), Evidence::Proof(_));
        assert!(is_proof(&positions(), (&alice, &bob)) && is_proof(&positions(), (&bob, &alice)));
        for users in [(&alice, &carol), (&alice, &alice), (&carol, &bob), (&bob, &bob)] {
            assert!(!is_proof(&positions(), users), "{users:?}");
        }
        let other_key = b"0123456789abcdef0123456789abcdeF";
        assert!(!is_proof(&Positions::new(Some(other_key), "Messages".to_owned()), (&alice, &bob)));
        assert!(!is_proof(&Positions::new(Some(KEY), "Messages2".to_owned()), (&alice, &bob)));
    }

    /// A change of a position's text.
    #[derive(Debug, Clone)]
    enum Forgery {
        Flip(Index, u8),
        Cut(Index),
        Extend(Vec<u8>),
        /// The MAC of another position.
        Swap(u64),
        /// The payload and the MAC of a position, with bytes between them.
        Insert(Index, u8),
    }

    fn forgery() -> impl Strategy<Value = Forgery> {
        prop_oneof![
            (any::<Index>(), 0..8_u8).prop_map(|(byte, bit)| Forgery::Flip(byte, bit)),
            any::<Index>().prop_map(Forgery::Cut),
            proptest::collection::vec(any::<u8>(), 1..20).prop_map(Forgery::Extend),
            (1..1_000_u64).prop_map(Forgery::Swap),
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Forgery::Insert(at, byte)),
        ]
    }

    fn bytes(position: &Position) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&position.0).unwrap()
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn what_it_holds_comes_back_whichever_of_the_two_sent_the_message(
            (one, other) in ("[ab]{1,3}", "[ab]{1,3}"),
            seq in 1..=9_007_199_254_740_991_u64,
            numbers in numbers(),
        ) {
            let (sender, recipient) = (user(&one), user(&other));
            let message = message(seq, &sender, &recipient);
            let position = positions().of(&message, state(numbers)).unwrap();
            prop_assert!(position.0.len() <= MAX_CHARACTERS);
            let end = End { seq: *message.seq(), sender_id: sender.clone(), created_at: *message.created_at(), state: state(numbers) };
            prop_assert_eq!(positions().read(&position, (&sender, &recipient)), Evidence::Proof(end.clone()));
            prop_assert_eq!(positions().read(&position, (&recipient, &sender)), Evidence::Proof(end));
        }
    }

    proptest! {
        #![proptest_config(cases(100_000))]

        #[test]
        fn no_forgery_is_a_proof(seq in 1..1_000_u64, forgery in forgery(), in_other_conversation: bool) {
            let genuine = position(seq);
            let mut forged = bytes(&genuine);
            match &forgery {
                Forgery::Flip(byte, bit) => forged[byte.index(genuine.0.len() * 3 / 4)] ^= 1 << bit,
                Forgery::Cut(length) => forged.truncate(length.index(forged.len())),
                Forgery::Extend(more) => forged.extend(more),
                Forgery::Swap(other) => {
                    let end = forged.len() - MAC_BYTES;
                    forged.truncate(end);
                    forged.extend(&bytes(&position(*other))[bytes(&position(*other)).len() - MAC_BYTES..]);
                }
                Forgery::Insert(at, byte) => forged.insert(at.index(forged.len()), *byte),
            }
            prop_assume!(forged != bytes(&genuine));
            let peer = if in_other_conversation { user("carol") } else { user("bob") };
            let forged = Position(URL_SAFE_NO_PAD.encode(forged));
            let evidence = positions().read(&forged, (&user("alice"), &peer));
            prop_assert!(!matches!(evidence, Evidence::Proof(_)), "{:?}", evidence);
        }
    }

    proptest! {
        #![proptest_config(cases(10_000))]

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_-]{0,90}|.{0,200}", format: bool, tail in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = |text| positions().read(&Position(text), (&user("alice"), &user("bob")));
            let first = if format { FORMAT } else { 0 };
            for text in [text, URL_SAFE_NO_PAD.encode([vec![first], tail].concat())] {
                prop_assert!(!matches!(read(text), Evidence::Proof(_)));
            }
        }
    }
}
