//! `SpanLayer`: the ids of the invocation in every log line.

use std::task::{Context, Poll};

use lambda_runtime::{
    LambdaInvocation, Service,
    tower::{BoxError, Layer},
};
use tracing::{Instrument, error_span, instrument::Instrumented};

use crate::lambda::request_log::trace_root;

/// Adds `function`, `requestId` and `traceId` to every line that is logged during an invocation, the runtime's own lines included.
///
/// The layer of `lambda_runtime` does that for level INFO only, and adds the whole trace header.
pub(super) struct SpanLayer;

pub(super) struct SpanService<S>(S);

impl<S> Layer<S> for SpanLayer {
    type Service = SpanService<S>;

    fn layer(&self, inner: S) -> SpanService<S> {
        SpanService(inner)
    }
}

impl<S> Service<LambdaInvocation> for SpanService<S>
where
    S: Service<LambdaInvocation, Response = (), Error = BoxError>,
{
    type Response = ();
    type Error = BoxError;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let context = &invocation.context;
        let trace = context.xray_trace_id.as_deref().and_then(trace_root);
        let function = &context.env_config.function_name;
        let span = error_span!("invocation", function, requestId = context.request_id, traceId = trace);
        let future = span.in_scope(|| self.0.call(invocation));
        future.instrument(span)
    }
}
