//! Chromium for the tests of the page, driven by its own protocol.
//!
//! That protocol is JSON over a WebSocket, and a test needs ten of its methods. chromiumoxide and headless_chrome bring
//! the whole of it as generated types, another tungstenite and (chromiumoxide) reqwest, and lag behind new browsers;
//! WebDriver (fantoccini, thirtyfour) needs a driver program that fits the browser.

mod chromium;
mod page;
mod protocol;
mod proxy;

pub use chromium::{Browser, Person};
pub use page::Page;
pub use proxy::Proxy;
