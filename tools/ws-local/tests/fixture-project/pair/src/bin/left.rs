//! One of two binaries, so that a template has to name the one it means.

fn main() {}
