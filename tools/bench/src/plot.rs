//! Line plots as SVG files.

use std::{fs, path::Path};

use anyhow::anyhow;
use plotters::prelude::*;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (720, 400);
const COLOURS: [RGBColor; 4] =
    [RGBColor(81, 84, 209), RGBColor(200, 90, 40), RGBColor(35, 122, 59), RGBColor(120, 120, 130)];

/// One line of a plot: its label and its points.
pub type Series = (String, Vec<(f64, f64)>);

/// Title and axis labels of a plot.
#[derive(Debug, Clone, Copy)]
pub struct PlotLabels {
    /// Title above the plot.
    pub title: &'static str,
    /// Label of the horizontal axis, with its unit.
    pub x: &'static str,
    /// Label of the vertical axis, with its unit.
    pub y: &'static str,
}

/// Draws lines on logarithmic axes.
///
/// # Errors
/// If the file can't be written or there are no points.
pub fn draw_lines(path: &Path, labels: PlotLabels, series: &[Series]) -> anyhow::Result<()> {
    let points = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let ends = |of: fn((f64, f64)) -> f64| {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        points().map(of).fold(ends, |(least, most), value| (least.min(value), most.max(value)))
    };
    let (left, right) = ends(|(x, _)| x);
    let (least, most) = ends(|(_, y)| y);
    // The vertical axis covers at least a factor of ten, so that small changes look small. The
    // space above the lines is for the legend.
    let bottom = least.min(most / 10.0) / 1.15;
    if points().next().is_none() {
        return Err(anyhow!("{}: no points to draw", labels.title));
    }
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        let mut chart = ChartBuilder::on(&area)
            .caption(labels.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((left / 1.15..right * 1.15).log_scale(), (bottom..most * 2.5).log_scale())
            .map_err(|error| failed(&error))?;
        chart
            .configure_mesh()
            .x_desc(labels.x)
            .y_desc(labels.y)
            .light_line_style(WHITE)
            .x_label_formatter(&|value| abbreviate(*value))
            .y_label_formatter(&|value| abbreviate(*value))
            .draw()
            .map_err(|error| failed(&error))?;
        for ((name, points), colour) in series.iter().zip(COLOURS.iter().cycle()) {
            let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
            let drawn = chart.draw_series(line).map_err(|error| failed(&error))?;
            let colour = *colour;
            drawn
                .label(name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 205))
            .draw()
            .map_err(|error| failed(&error))?;
        area.present().map_err(|error| failed(&error))?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, text)?)
}

fn abbreviate(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.0} M", value / 1e6),
        value if value >= 1e3 => format!("{:.0} k", value / 1e3),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}
