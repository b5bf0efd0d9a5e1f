//! The `read` function; see `lib.rs`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chat_core::StartError> {
    chat_core::run(read::handle).await
}
