//! The `disconnect` function; everything worth reading is in `lib.rs`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chat_core::lambda::Error> {
    chat_core::lambda::run_lifecycle(disconnect::handle).await
}
