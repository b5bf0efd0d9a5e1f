//! Which invocation a line of the log belongs to.

use std::task::{Context, Poll};

use lambda_runtime::{
    LambdaInvocation, Service,
    tower::{BoxError, Layer},
};
use tracing::{Instrument, error_span, instrument::Instrumented};

use super::journal::root;

/// Gives every line that is logged during an invocation its `requestId` and `traceId`, the runtime's own lines included.
///
/// The layer of `lambda_runtime` does that for a log of level INFO only, and with the whole trace header.
pub(super) struct Spans;

pub(super) struct Spanned<S>(S);

impl<S> Layer<S> for Spans {
    type Service = Spanned<S>;

    fn layer(&self, inner: S) -> Spanned<S> {
        Spanned(inner)
    }
}

impl<S> Service<LambdaInvocation> for Spanned<S>
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
        let trace = context.xray_trace_id.as_deref().and_then(root);
        let span = error_span!("invocation", requestId = context.request_id, traceId = trace);
        let future = span.in_scope(|| self.0.call(invocation));
        future.instrument(span)
    }
}
