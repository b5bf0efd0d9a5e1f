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
    conversation::{ConversationId, Recipient, Seq},
    entry::{End, Entry},
    rate_limit::RateState,
    state::{ConversationState, GroupState, InboxHour},
    time::Timestamp,
    user::UserId,
};

/// The first byte of a position in a direct conversation, and in a group. Positions of another format count as unreadable.
const DIRECT: u8 = 1;
const GROUP: u8 = 2;
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

/// What a position holds of a direct conversation.
#[derive(Serialize, Deserialize)]
struct DirectPayload {
    seq: Seq,
    /// Which of the two users wrote the entry; both ids together can have 256 bytes.
    is_sent_by_larger: bool,
    created_at: Timestamp,
    recipient_seq: Seq,
    sender_rate: RateState,
    recipient_rate: RateState,
    inbox_hour: InboxHour,
    changes: u64,
    recipient_changes: u64,
    trailing_changes: u64,
}

/// What a position holds of a group.
#[derive(Serialize, Deserialize)]
struct GroupPayload {
    seq: Seq,
    created_at: Timestamp,
    rate: RateState,
    inbox_hour: InboxHour,
    changes: u64,
    trailing_changes: u64,
    version: Seq,
    listed_at: Timestamp,
}

impl Positions {
    /// Positions in the conversations of this table. The key has at least 32 bytes.
    pub fn new(key: Option<&[u8]>, messages_table: String) -> Self {
        Self { key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)), messages_table }
    }

    /// The position of a stored entry; none without a key. `state` is the conversation's as of the entry.
    pub fn of(&self, entry: &Entry, state: ConversationState) -> Option<Position> {
        let key = self.key.as_ref()?;
        let mut bytes = encode(entry, state);
        let mac = self.mac(key, entry.conversation_id(), &bytes);
        bytes.extend(mac);
        Some(Position(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What `position` tells about the conversation of a user and a recipient.
    pub fn read(&self, position: &Position, user: &UserId, recipient: &Recipient) -> Evidence {
        let text = Some(&position.0).filter(|text| text.len() <= MAX_CHARACTERS);
        let Some(bytes) = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else { return Evidence::Nothing };
        let Some((signed, mac)) = bytes.split_last_chunk::<MAC_BYTES>() else { return Evidence::Nothing };
        let Some(end) = decode(signed, user, recipient) else { return Evidence::Nothing };
        let conversation = ConversationId::of(user, recipient);
        let is_valid = self.key.as_ref().is_some_and(|key| self.mac(key, &conversation, signed).ct_eq(mac).into());
        if is_valid { Evidence::Proof(end) } else { Evidence::Claim(end.seq) }
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

/// The bytes that the MAC covers, with the conversation.
fn encode(entry: &Entry, state: ConversationState) -> Vec<u8> {
    let (seq, created_at) = (*entry.seq(), *entry.created_at());
    let ConversationState { sender_rate, inbox_hour, changes, trailing_changes, .. } = state;
    let encoded = match (entry.recipient(), state.group) {
        (Recipient::User(recipient), _) => {
            let payload = DirectPayload {
                seq,
                is_sent_by_larger: *entry.sender_id() > recipient,
                created_at,
                recipient_seq: state.recipient_seq,
                sender_rate,
                recipient_rate: state.recipient_rate,
                inbox_hour,
                changes,
                recipient_changes: state.recipient_changes,
                trailing_changes,
            };
            postcard::to_extend(&payload, vec![DIRECT])
        }
        (Recipient::Group(_), group) => {
            let GroupState { version, listed_at } = group.unwrap_or_default();
            let rate = sender_rate;
            let payload =
                GroupPayload { seq, created_at, rate, inbox_hour, changes, trailing_changes, version, listed_at };
            postcard::to_extend(&payload, vec![GROUP])
        }
    };
    encoded.expect("a payload holds numbers only")
}

/// The inverse of [`encode`], as the end of the conversation of `user` and `recipient`.
fn decode(signed: &[u8], user: &UserId, recipient: &Recipient) -> Option<End> {
    let (format, payload) = signed.split_first()?;
    match (*format, recipient) {
        (GROUP, _) => {
            let payload: GroupPayload = exactly(payload)?;
            let state = ConversationState {
                sender_rate: payload.rate,
                inbox_hour: payload.inbox_hour,
                changes: payload.changes,
                trailing_changes: payload.trailing_changes,
                group: Some(GroupState { version: payload.version, listed_at: payload.listed_at }),
                ..ConversationState::default()
            };
            Some(End { seq: payload.seq, sender_id: None, created_at: payload.created_at, state })
        }
        (DIRECT, recipient) => {
            let payload: DirectPayload = exactly(payload)?;
            let sender = match recipient {
                Recipient::User(other) if payload.is_sent_by_larger => Some(user.max(other)),
                Recipient::User(other) => Some(user.min(other)),
                Recipient::Group(_) => None,
            };
            let state = ConversationState {
                recipient_seq: payload.recipient_seq,
                sender_rate: payload.sender_rate,
                recipient_rate: payload.recipient_rate,
                inbox_hour: payload.inbox_hour,
                changes: payload.changes,
                recipient_changes: payload.recipient_changes,
                trailing_changes: payload.trailing_changes,
                group: None,
            };
            Some(End { seq: payload.seq, sender_id: sender.cloned(), created_at: payload.created_at, state })
        }
        _ => None,
    }
}

/// A value without a rest.
fn exactly<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
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
    use crate::model::conversation::GroupId;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn positions() -> Positions {
        Positions::new(Some(KEY), "Messages".to_owned())
    }

    fn user(id: &str) -> UserId {
        UserId::try_from(id.to_owned()).unwrap()
    }

    fn read(positions: &Positions, position: &Position, (one, other): (&UserId, &UserId)) -> Evidence {
        positions.read(position, one, &Recipient::User(other.clone()))
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
            read(&keyless, &position(5), (&alice, &bob)),
            Evidence::Claim(Seq::NONE.next().next().next().next().next())
        );
    }

    #[test]
    fn it_proves_nothing_in_another_conversation_another_table_or_with_another_key() {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let position = position(3);
        let is_proof = |positions: &Positions, users| matches!(read(positions, &position, users), Evidence::Proof(_));
        assert!(is_proof(&positions(), (&alice, &bob)) && is_proof(&positions(), (&bob, &alice)));
        for users in [(&alice, &carol), (&alice, &alice), (&carol, &bob), (&bob, &bob)] {
            assert!(!is_proof(&positions(), users), "{users:?}");
        }
        let other_key = b"0123456789abcdef0123456789abcdeF";
        assert!(!is_proof(&Positions::new(Some(other_key), "Messages".to_owned()), (&alice, &bob)));
        assert!(!is_proof(&Positions::new(Some(KEY), "Messages2".to_owned()), (&alice, &bob)));
    }

    #[test]
    fn a_position_in_a_group_holds_the_state_of_the_group_and_proves_nothing_elsewhere() {
        let (alice, group) = (user("alice"), GroupId::random());
        let state = ConversationState {
            changes: 3,
            trailing_changes: 1,
            group: Some(GroupState { version: Seq::FIRST, listed_at: Timestamp::from_millis(7) }),
            ..ConversationState::default()
        };
        let entry = json!({
            "messageId": "3f0c7a52-7b1e-4f0e-9d3c-0a5b1c2d3e4f",
            "conversationId": format!("group:{group}"),
            "groupId": group,
            "seq": 9,
            "senderId": "alice",
            "content": "Hi",
            "createdAt": 1_793_535_561_000_i64,
        });
        let entry = Entry::Message(serde_json::from_value(entry).unwrap());
        let position = positions().of(&entry, state).unwrap();
        let created_at = *entry.created_at();
        let end = End { seq: *entry.seq(), sender_id: None, created_at, state };
        let read = |recipient| positions().read(&position, &alice, &recipient);
        assert_eq!(read(Recipient::Group(group)), Evidence::Proof(end));
        for other in [Recipient::Group(GroupId::random()), Recipient::User(user("bob"))] {
            assert_eq!(read(other), Evidence::Claim(*entry.seq()));
        }
        let direct = positions().of(&message(9, &alice, &user("bob")), ConversationState::default()).unwrap();
        let read = positions().read(&direct, &alice, &Recipient::Group(group));
        assert_eq!(read, Evidence::Claim(*entry.seq()));
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
            let end = End { seq: *message.seq(), sender_id: Some(sender.clone()), created_at: *message.created_at(), state: state(numbers) };
            prop_assert_eq!(read(&positions(), &position, (&sender, &recipient)), Evidence::Proof(end.clone()));
            prop_assert_eq!(read(&positions(), &position, (&recipient, &sender)), Evidence::Proof(end));
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
            let evidence = read(&positions(), &forged, (&user("alice"), &peer));
            prop_assert!(!matches!(evidence, Evidence::Proof(_)), "{:?}", evidence);
        }
    }

    proptest! {
        #![proptest_config(cases(10_000))]

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_-]{0,90}|.{0,200}", format: bool, tail in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = |text| read(&positions(), &Position(text), (&user("alice"), &user("bob")));
            let first = if format { DIRECT } else { 0 };
            for text in [text, URL_SAFE_NO_PAD.encode([vec![first], tail].concat())] {
                prop_assert!(!matches!(read(text), Evidence::Proof(_)));
            }
        }
    }
}
