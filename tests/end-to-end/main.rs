//! The whole chat on this machine: the real functions as processes, driven by `template.yaml`, over real sockets.

mod connecting;
mod conversations;
mod limits;
