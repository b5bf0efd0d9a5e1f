//! The program `ws-local`. Its code is in the library, so that tests can use it.

fn main() -> std::process::ExitCode {
    ws_local::cli::main()
}
