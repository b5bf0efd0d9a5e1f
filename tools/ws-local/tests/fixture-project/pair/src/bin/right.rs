//! One of two, so that a template has to say which one it means.

fn main() {}
