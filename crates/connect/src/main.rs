//! The `connect` function; see `lib.rs`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chat_core::StartError> {
    chat_core::run_lifecycle(connect::handle).await
}
