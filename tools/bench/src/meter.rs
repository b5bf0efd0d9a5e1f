//! `Meter`: records the AWS calls of a function, with their units and times, and counts the bytes
//! on the wire.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One call to an AWS service.
#[derive(Debug, Clone)]
pub struct AwsCall {
    /// Such as `PutItem`.
    pub operation: String,
    /// When the last byte of the request arrived.
    pub began: Instant,
    /// When the response was ready to send.
    pub ended: Instant,
    /// Read units that DynamoDB reports.
    pub read_units: f64,
    /// Write units that DynamoDB reports.
    pub write_units: f64,
}

/// Length of the longest chain of calls in which each call waits for the previous one.
///
/// Calls in a chain never overlap. Independent calls may also run one after another on a busy
/// machine. The result is therefore never too small, and the minimum over several events is exact.
pub fn depth(calls: &[AwsCall]) -> usize {
    let mut calls: Vec<_> = calls.iter().collect();
    calls.sort_by_key(|call| call.began);
    let mut depths: Vec<usize> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let before = (0..index).filter(|other| calls[*other].ended <= call.began).map(|other| depths[other]);
        depths.push(1 + before.max().unwrap_or_default());
    }
    depths.into_iter().max().unwrap_or_default()
}

/// Collects calls and bytes until they are drained.
#[derive(Debug, Default)]
pub struct Meter {
    calls: Mutex<Vec<AwsCall>>,
    bytes: AtomicU64,
}

impl Meter {
    pub(crate) fn record(&self, call: AwsCall) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// Removes and returns the calls so far.
    pub fn drain_calls(&self) -> Vec<AwsCall> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resets and returns the number of bytes on the wire in both directions, encryption included.
    pub fn drain_bytes(&self) -> u64 {
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

/// A stream whose bytes are counted.
pub(crate) struct MeteredStream<S> {
    pub(crate) stream: S,
    pub(crate) meter: Arc<Meter>,
}

impl<S> MeteredStream<S> {
    fn count(&self, bytes: usize) {
        self.meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(buffer.filled().len() - before);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.count(written);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn depth_is_the_length_of_the_longest_chain() {
        let start = Instant::now();
        let call = |(began, ended): (u64, u64)| AwsCall {
            operation: String::new(),
            began: start + Duration::from_millis(began),
            ended: start + Duration::from_millis(ended),
            read_units: 0.0,
            write_units: 0.0,
        };
        for (calls, expected) in [
            (vec![], 0),
            (vec![(0, 5)], 1),
            (vec![(0, 5), (1, 6), (2, 9)], 1),
            // A query, then a put in parallel with two reads, one of them slow, then a push.
            (vec![(0, 5), (6, 12), (6, 11), (7, 30), (31, 36)], 3),
            (vec![(6, 11), (0, 5), (12, 13)], 3),
        ] {
            assert_eq!(depth(&calls.iter().copied().map(call).collect::<Vec<_>>()), expected, "{calls:?}");
        }
    }
}
