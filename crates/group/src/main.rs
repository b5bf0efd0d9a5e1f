//! The `group` function; see `lib.rs`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    chat_core::run(group::handle).await
}
