//! The `history` function; see `lib.rs`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chat_core::StartError> {
    chat_core::run(history::handle).await
}
