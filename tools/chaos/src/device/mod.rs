//! `Device`: one client of a user. It carries out its part of the plan.

mod conversation;
mod core;
mod module;
mod protocol;
mod relayed;
mod request;
mod state;

use std::{io, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    history::{ClientHistory, Source},
    host::Host,
    plan::{DevicePlan, Draft, Step},
    schedule::FaultSchedule,
};

use self::{core::DeviceCore, module::ModuleDevice, protocol::ProtocolDevice};

/// How long a device waits until it knows a message that it can change.
const LEARNING: Duration = Duration::from_secs(3);

/// A handle to a device. Clones refer to the same device.
#[derive(Clone)]
pub struct Device(Client);

#[derive(Clone)]
enum Client {
    Protocol(Arc<ProtocolDevice>),
    Module(Arc<ModuleDevice>),
}

impl Device {
    /// A device that implements the protocol itself. It connects to `websocket` when
    /// [`Device::live`] runs.
    pub fn new(plan: DevicePlan, websocket: &str, schedule: Arc<FaultSchedule>) -> Self {
        let core = DeviceCore::new(plan, websocket, schedule);
        Self(Client::Protocol(Arc::new(ProtocolDevice::new(core))))
    }

    /// A device whose client is `web/chat-client.js`, in its own browser or in a tab of another
    /// device's browser.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn with_module(
        plan: DevicePlan,
        websocket: &str,
        schedule: Arc<FaultSchedule>,
        host: &Arc<Host>,
        browser: Option<&Self>,
    ) -> io::Result<Self> {
        let core = DeviceCore::new(plan, websocket, schedule);
        let browser = browser.and_then(|device| match &device.0 {
            Client::Module(device) => Some(&**device),
            Client::Protocol(_) => None,
        });
        Ok(Self(Client::Module(ModuleDevice::new(core, host, browser).await?)))
    }

    /// Runs the client until the device is stopped.
    pub async fn live(self) {
        match self.0 {
            Client::Protocol(device) => device.live().await,
            Client::Module(device) => device.live().await,
        }
    }

    /// Carries out the plan.
    pub async fn play(self) {
        for (wait, step) in self.plan().steps.clone() {
            sleep(wait).await;
            match (step, &self.0) {
                (Step::Send(peer, draft), _) => {
                    // If the time is over, the draft becomes a message.
                    let _ = timeout(LEARNING, self.until(|device| device.core().can(&peer, &draft))).await;
                    self.send(&peer, draft);
                }
                (Step::Repeat(peer), Client::Protocol(device)) => {
                    // If the time is over, what is acknowledged so far is repeated.
                    let _ = timeout(LEARNING, self.until(|device| device.core().has_sent_all(&peer))).await;
                    device.repeat(&peer);
                }
                // The module repeats only what is not acknowledged.
                (Step::Repeat(_), Client::Module(_)) => {}
                (Step::Retire, _) => self.core().retire(),
                (Step::Cut, Client::Protocol(device)) => device.cut(),
                (Step::Cut, Client::Module(device)) => device.cut(),
                (Step::Away(time), client) => {
                    self.core().note("goes away");
                    match client {
                        Client::Protocol(device) => device.go_away(time).await,
                        Client::Module(device) => device.go_away(time).await,
                    }
                }
            }
        }
    }

    /// Does what the draft says, and repeats it until it is acknowledged.
    pub fn send(&self, peer: &str, draft: Draft) {
        match &self.0 {
            Client::Protocol(device) => {
                device.core.queue(peer, draft, false);
            }
            // The module chooses the ids, so only distinct actions can be told from one another.
            Client::Module(device) => device.send(peer, &device.core.queue(peer, draft, true)),
        }
    }

    /// Closes the connection. The client then opens another one.
    pub fn reconnect(&self) {
        match &self.0 {
            Client::Protocol(device) => device.reconnect(),
            Client::Module(device) => device.reconnect(),
        }
    }

    /// Makes the client use its full timeouts. Call it when faults have stopped.
    pub fn quiesce(&self) {
        if let Client::Module(device) = &self.0 {
            device.quiesce();
        }
    }

    /// Makes the client read every conversation completely.
    pub async fn read_all(&self) {
        if let Client::Module(device) = &self.0 {
            device.read_all().await;
        }
    }

    /// Whether the device is connected, has nothing to send, and holds every entry that it knows
    /// about. Also true for a device that has stopped for good.
    pub fn is_at_rest(&self) -> bool {
        match &self.0 {
            Client::Protocol(device) => device.core.is_at_rest(|_| false),
            Client::Module(device) => device.is_at_rest(),
        }
    }

    /// Waits until `holds` is true.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        self.core().until(|| holds(self)).await;
    }

    pub fn plan(&self) -> &DevicePlan {
        &self.core().plan
    }

    /// Whether the device has stopped for good during the run.
    pub fn is_retired(&self) -> bool {
        self.core().is_retired()
    }

    /// Whether a message with this content was received from `source`.
    pub fn has_received(&self, content: &str, source: Source) -> bool {
        self.core().has_received(content, source)
    }

    /// The history so far, with the current views.
    pub fn history(&self) -> ClientHistory {
        self.core().history()
    }

    /// Sets the URL for all later connections.
    pub fn move_to(&self, websocket: &str) {
        self.core().move_to(websocket);
    }

    /// Ends the device.
    pub fn stop(&self) {
        self.core().stop();
    }

    fn core(&self) -> &DeviceCore {
        match &self.0 {
            Client::Protocol(device) => &device.core,
            Client::Module(device) => &device.core,
        }
    }
}
