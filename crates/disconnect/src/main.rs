//! The `disconnect` function; see `lib.rs`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chat_core::StartError> {
    chat_core::run_lifecycle(disconnect::handle).await
}
