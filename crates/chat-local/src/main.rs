//! The program; everything worth reading is in the library.

fn main() -> std::process::ExitCode {
    chat_local::cli::main()
}
