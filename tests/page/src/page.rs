//! One tab.

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::protocol::{PATIENCE, Protocol};

/// A tab, and what a person can do in it.
pub struct Page {
    protocol: Arc<Protocol>,
    session: String,
    target: String,
}

impl Page {
    pub(crate) fn new(protocol: Arc<Protocol>, session: String, target: String) -> Self {
        Self { protocol, session, target }
    }

    /// Runs a command of the protocol in this tab.
    pub async fn tell(&self, method: &str, parameters: Value) -> Value {
        let answer = self.protocol.ask(Some(&self.session), method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Goes to an address, and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.until_loaded("Page.navigate", json!({ "url": url })).await;
    }

    /// Loads the page anew.
    pub async fn reload(&self) {
        self.until_loaded("Page.reload", json!({})).await;
    }

    async fn until_loaded(&self, method: &str, parameters: Value) {
        let mut events = self.protocol.events();
        self.tell(method, parameters).await;
        let loaded = async {
            loop {
                let event = events.recv().await.unwrap();
                if event["method"] == "Page.loadEventFired" && event["sessionId"] == self.session.as_str() {
                    return;
                }
            }
        };
        timeout(PATIENCE, loaded).await.unwrap_or_else(|_| panic!("{method} never ended"));
    }

    /// The value of an expression, awaited where it is a promise.
    pub async fn value(&self, expression: &str) -> Value {
        self.try_value(expression).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_value(&self, expression: &str) -> Result<Value, String> {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.protocol.ask(Some(&self.session), "Runtime.evaluate", ask).await?;
        if answer["exceptionDetails"].is_null() {
            Ok(answer["result"]["value"].clone())
        } else {
            Err(answer["exceptionDetails"].to_string())
        }
    }

    /// Shows this tab and not another one of the same window: browsers are slow to draw what nobody sees.
    pub async fn come_to_front(&self) {
        self.tell("Page.bringToFront", json!({})).await;
    }

    /// Waits until an expression is true, on this page or on the one that follows it. It is looked at every 20 ms: much of
    /// it is no event of the document.
    pub async fn until(&self, expression: &str) {
        let watch = format!(
            "new Promise((done) => {{ const look = () => {{ let is = false; try {{ is = {expression}; }} catch {{}} \
             if (is) done(true); else setTimeout(look, 20); }}; look(); }})"
        );
        let watched = async {
            while let Err(error) = self.try_value(&watch).await {
                // What was asked went with the page: the next one is asked.
                assert!(error.contains("navigated") || error.contains("context"), "{expression}: {error}");
            }
        };
        if timeout(PATIENCE, watched).await.is_err() {
            let seen = self.value("document.body.innerText").await;
            panic!("never true: {expression}; the page shows {seen}");
        }
    }

    /// Writes with the keyboard, where the cursor is.
    pub async fn write(&self, text: &str) {
        self.tell("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key, such as `Enter` or `Tab`.
    pub async fn press(&self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            _ => (0, key),
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let event = json!({ "key": key, "code": key, "windowsVirtualKeyCode": code });
        for (kind, text) in [(down, text), ("keyUp", "")] {
            let mut event = event.clone();
            event["type"] = json!(kind);
            if !text.is_empty() {
                event["text"] = json!(text);
            }
            self.tell("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Clicks in the middle of the first element that this selects.
    pub async fn click(&self, selector: &str) {
        let place = format!(
            "(() => {{ const node = document.querySelector({}); node.scrollIntoView({{ block: 'nearest' }}); \
             const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        );
        let at = self.value(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.tell("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Sets how wide and high the window is, in CSS pixels, and whether it is dark.
    pub async fn looks_like(&self, width: u32, height: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700 });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!([{ "name": "prefers-color-scheme", "value": if is_dark { "dark" } else { "light" } }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": scheme })).await;
    }

    /// Cuts this tab from the network as the browser sees it, or joins it again.
    pub async fn cut(&self, is_cut: bool) {
        let conditions = json!({ "offline": is_cut, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.tell("Network.emulateNetworkConditions", conditions).await;
    }

    /// A picture of what is seen, as a PNG.
    pub async fn picture(&self, file: &Path) {
        let shot = self.tell("Page.captureScreenshot", json!({ "format": "png" })).await;
        std::fs::write(file, STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// Closes the tab.
    pub async fn close(self) {
        let target = json!({ "targetId": self.target });
        self.protocol.ask(None, "Target.closeTarget", target).await.unwrap();
    }
}
