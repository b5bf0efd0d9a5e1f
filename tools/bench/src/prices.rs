//! `Prices`: AWS prices, read from `prices.json`.

use anyhow::Context;
use serde::Deserialize;

const FILE: &str = include_str!("../prices.json");

/// Number of frames per month at the price of the first tier.
const FIRST_TIER: f64 = 1e9;

/// Prices in US dollars per unit in us-east-1, without free tiers.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    /// A frame of up to 32 KB in either direction, in the first tier of a month.
    pub frame: f64,
    /// A frame beyond the first tier.
    pub frame_after_first_tier: f64,
    /// A minute of one connection.
    pub connection_minute: f64,
    /// An invocation of a function.
    pub invocation: f64,
    /// A second of a function with 1,024 MB, on arm64.
    pub gigabyte_second: f64,
    /// A read unit: 4 KB, strongly consistent.
    pub read_unit: f64,
    /// A write unit: 1 KB.
    pub write_unit: f64,
    /// A byte of log data.
    pub log_byte: f64,
    /// A byte sent to the internet.
    pub byte_out: f64,
}

/// Prices in the units of `prices.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PriceList {
    million_frames: f64,
    million_frames_after_first_billion: f64,
    million_connection_minutes: f64,
    million_invocations: f64,
    million_gigabyte_seconds: ByArchitecture,
    million_read_units: f64,
    million_write_units: f64,
    log_gigabyte: f64,
    transfer_gigabyte: f64,
}

#[derive(Deserialize)]
struct ByArchitecture {
    arm64: f64,
}

impl Prices {
    /// # Errors
    /// If `prices.json` lacks a price.
    pub fn read() -> anyhow::Result<Self> {
        let list: PriceList = serde_json::from_str(FILE).context("tools/bench/prices.json is invalid")?;
        Ok(Self {
            frame: list.million_frames / 1e6,
            frame_after_first_tier: list.million_frames_after_first_billion / 1e6,
            connection_minute: list.million_connection_minutes / 1e6,
            invocation: list.million_invocations / 1e6,
            gigabyte_second: list.million_gigabyte_seconds.arm64 / 1e6,
            read_unit: list.million_read_units / 1e6,
            write_unit: list.million_write_units / 1e6,
            log_byte: list.log_gigabyte / 1e9,
            byte_out: list.transfer_gigabyte / 1e9,
        })
    }

    /// Discount on `frames` frames in one month, relative to the price of the first tier.
    pub fn tier_discount(&self, frames: f64) -> f64 {
        (frames - FIRST_TIER).max(0.0) * (self.frame - self.frame_after_first_tier)
    }
}
