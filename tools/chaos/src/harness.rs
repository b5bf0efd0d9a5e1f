//! `Harness`: the complete system with the real functions and fault-injecting proxies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use support::{FaultProxy, Local, without_limits};
use ws_local::{event::EventSink, functions::FunctionOptions};

use crate::{fault::FaultCounts, injection, plan::Plan, proxies::Proxies, schedule::FaultSchedule};

/// Largest number of processes of each function.
const PROCESSES: usize = 16;

/// One system that many runs share. Each run has its own users.
pub struct Harness {
    pub local: Local,
    /// Faults injected in all runs.
    pub total: Arc<FaultCounts>,
    /// Longest time that a run may take to come to rest after its last fault.
    pub patience: Duration,
    proxies: Arc<Proxies>,
}

impl Harness {
    /// Starts the system.
    pub async fn start(patience: Duration) -> Self {
        let total = Arc::new(FaultCounts::default());
        let proxies = Arc::new(Proxies::new(total.clone()));
        let shared = proxies.clone();
        let dynamodb =
            FaultProxy::start(move |upstream, call| injection::dynamodb_call(shared.clone(), upstream, call)).await;
        let shared = proxies.clone();
        let gateway = FaultProxy::start(move |upstream, call| injection::push(shared.clone(), upstream, call)).await;
        let observed = proxies.clone();
        let local = Local::start_with(|options| {
            without_limits(options);
            let environment = BTreeMap::from([
                ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.url().to_owned()),
                ("CONNECTIONS_ENDPOINT".to_owned(), format!("{}/prod", gateway.url())),
            ]);
            options.functions = FunctionOptions { environment, processes: PROCESSES, ..FunctionOptions::default() };
            options.events = EventSink::new(move |event| observed.observe(event));
        })
        .await;
        dynamodb.set_upstream(local.dynamodb().to_owned());
        gateway.set_upstream(local.gateway());
        proxies.processes.set_functions(local.functions());
        Self { local, total, patience, proxies }
    }

    /// Begins to inject the faults of a run.
    pub fn begin(&self, plan: Plan) -> Arc<FaultSchedule> {
        let schedule = Arc::new(FaultSchedule::new(plan, self.total.clone()));
        self.proxies.add(schedule.clone());
        schedule
    }

    /// Ends a run.
    pub fn end(&self, schedule: &FaultSchedule) {
        self.proxies.remove(schedule);
    }

    /// Gives the functions another key for positions.
    pub fn change_position_key(&self) {
        self.local.functions().set_variable("POSITION_KEY", &format!("{:064x}", fastrand::u128(..)));
    }

    /// Stops the system.
    pub async fn stop(self) {
        self.local.stop().await;
    }
}
