//! Starts `chat-local`; everything worth reading is in the library.

fn main() {}
