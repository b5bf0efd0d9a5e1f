//! The rules of CloudWatch's embedded metric format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Units that the functions use for their metrics.
const UNITS: [&str; 3] = ["Bytes", "Count", "Milliseconds"];

/// Parses a log line, which must be one JSON object. Above level INFO it must have an RFC 3339 `timestamp`, because
/// Lambda takes a line without one as INFO:
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
#[track_caller]
pub(crate) fn parse(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(line.is_object(), "{line}");
    if line["level"] != "INFO" {
        assert!(["WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default()), "{line}");
        let timestamp = line["timestamp"].as_str().unwrap_or_default();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok() && timestamp.ends_with('Z'), "{line}");
    }
    line
}

/// Name, unit and value of each metric that CloudWatch extracts from a line. Empty if the line has
/// no `_aws` metadata.
#[track_caller]
pub(crate) fn metrics(line: &Value) -> Vec<(String, String, u64)> {
    let Some(metadata) = line.get("_aws") else { return Vec::new() };
    assert_eq!(members(metadata), ["CloudWatchMetrics", "Timestamp"].map(str::to_owned).into());
    assert!(
        metadata["Timestamp"].as_u64().is_some_and(|timestamp| timestamp > 1_790_000_000_000),
        "milliseconds: {line}"
    );
    let directives = metadata["CloudWatchMetrics"].as_array().unwrap();
    assert_eq!(directives.len(), 1, "one directive, so that each metric is billed once: {line}");
    let directive = &directives[0];
    assert_eq!(members(directive), ["Dimensions", "Metrics", "Namespace"].map(str::to_owned).into());
    assert!((1..=255).contains(&directive["Namespace"].as_str().unwrap().len()));
    // There are no dimensions, because each combination of their values is billed as a metric. All
    // other fields are properties.
    assert_eq!(directive["Dimensions"], json!([[]]));
    let definitions = directive["Metrics"].as_array().unwrap();
    assert!((1..=100).contains(&definitions.len()), "{line}");
    let metric = |definition: &Value| {
        assert_eq!(members(definition), ["Name", "Unit"].map(str::to_owned).into());
        let (name, unit) = (definition["Name"].as_str().unwrap(), definition["Unit"].as_str().unwrap());
        assert!((1..=1024).contains(&name.len()) && UNITS.contains(&unit), "{definition}");
        let value = line[name].as_u64().unwrap_or_else(|| panic!("{name} is not a number: {line}"));
        (name.to_owned(), unit.to_owned(), value)
    };
    let metrics: Vec<_> = definitions.iter().map(metric).collect();
    let names: BTreeSet<_> = metrics.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), metrics.len(), "no name twice: {line}");
    metrics
}

fn members(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}
