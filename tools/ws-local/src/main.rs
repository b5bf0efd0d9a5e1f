//! The program; everything worth reading is in the library.

fn main() -> std::process::ExitCode {
    ws_local::cli::main()
}
