//! `json_length`: the size of a value as JSON.

use std::io;

use serde::Serialize;

/// The length of `value` as JSON, in bytes. Nothing is allocated.
pub fn json_length(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("a value of the protocol is always JSON, and counting can't fail");
    count.0
}
