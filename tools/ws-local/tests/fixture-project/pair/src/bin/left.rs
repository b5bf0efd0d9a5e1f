//! One of two binaries in this package, so a template must name the binary that it uses.

fn main() {}
