//! One message: its route is selected, its function called, its answer sent where the route replies.

use std::{sync::Arc, time::Instant};

use super::{
    Core,
    answer::Answer,
    connection::Connection,
    events, id,
    invocation::Failure,
    refusal::{Notice, chain},
};
use crate::template::Route;

/// Deals with a message. Each runs on a task of its own: nothing promises the order of two.
pub(super) async fn handle(core: Arc<Core>, connection: Arc<Connection>, body: String) {
    let started = Instant::now();
    let request = id::fresh();
    let notice = async |message| {
        let notice = Notice { message, connection_id: &connection.id, request_id: &request };
        connection.reply(notice.frame()).await;
    };
    let selected = core.selection.of(&body);
    if !core.requests.take() {
        core.record(&connection.id, &selected, 429, started, None);
        return notice("Too Many Requests").await;
    }
    let Some((key, route)) = core.route(&selected) else {
        let detail = "no such route, and no $default".to_owned();
        core.record(&connection.id, &selected, 403, started, Some(detail));
        return notice("Forbidden").await;
    };
    let event = events::message(&core.stack.api, &connection, key, &request, &body);
    match answer(&core, route, &event).await {
        Ok((status, text)) => {
            core.record(&connection.id, key, status, started, None);
            if let Some(text) = text {
                connection.reply(text).await;
            }
        }
        Err(failure) => {
            core.record(&connection.id, key, failure.status(), started, Some(chain(&failure)));
            notice("Internal server error").await;
        }
    }
}

/// The status of the function's answer, and the text for the client where the route replies.
async fn answer(core: &Core, route: &Route, event: &serde_json::Value) -> Result<(u16, Option<String>), Failure> {
    let answer = Answer::parse(&core.call(&route.function, event, route.timeout).await?)?;
    let status = answer.status;
    let text = if route.replies { answer.text(core.limits.message)? } else { None };
    Ok((status, text))
}

impl Core {
    /// The route with this key, else `$default`. The routes of a connection's begin and end are not for messages.
    fn route(&self, key: &str) -> Option<(&str, &Route)> {
        let routes = &self.stack.api.routes;
        let exact = (!matches!(key, "$connect" | "$disconnect")).then(|| routes.get_key_value(key));
        let found = exact.flatten().or_else(|| routes.get_key_value("$default"));
        found.map(|(key, route)| (key.as_str(), route))
    }
}
