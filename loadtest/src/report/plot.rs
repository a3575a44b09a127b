//! Plots as SVG: lines over time, bars, shares of a whole. Nothing is loaded from anywhere.

use std::fmt::Write as _;

use crate::outcome::figure;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 10.0;
/// Easy to tell apart, for people who see few colours too.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
];

/// A text in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn open(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">"
    )
}

fn axes(svg: &mut String, most: f64, left_label: &str, right_label: &str) {
    let floor = HEIGHT - BOTTOM;
    let _ = write!(
        svg,
        "<line x1=\"{LEFT}\" y1=\"{floor}\" x2=\"{WIDTH}\" y2=\"{floor}\" class=\"axis\"/>\
         <line x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{floor}\" class=\"axis\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{floor}\" text-anchor=\"end\">0</text>\
         <text x=\"{LEFT}\" y=\"{}\">{}</text><text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        LEFT - 5.0,
        TOP + 8.0,
        figure(most),
        LEFT - 5.0,
        HEIGHT - 5.0,
        escaped(left_label),
        HEIGHT - 5.0,
        escaped(right_label),
    );
}

fn across(index: usize, count: usize) -> f64 {
    let share = index as f64 / (count.max(2) - 1) as f64;
    LEFT + share * (WIDTH - LEFT)
}

fn up(value: f64, most: f64) -> f64 {
    HEIGHT - BOTTOM - value / most.max(1e-12) * (HEIGHT - BOTTOM - TOP)
}

/// Values at even distances; a dashed line at `limit`.
pub(super) fn line(title: &str, values: &[f64], limit: Option<f64>, to: &str) -> String {
    let most = values.iter().copied().chain(limit).fold(0.0, f64::max);
    let mut svg = open(title, HEIGHT);
    axes(&mut svg, most, "0", to);
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| format!("{:.1},{:.1}", across(index, values.len()), up(*value, most)))
        .collect();
    let _ = write!(
        svg,
        "<polyline points=\"{}\" stroke=\"{}\" class=\"line\"/>",
        points.join(" "),
        COLOURS[0]
    );
    if let Some(limit) = limit {
        let y = up(limit, most);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" class=\"limit\"/>"
        );
    }
    svg.push_str("</svg></figure>");
    svg
}

/// A bar for each name.
pub(super) fn bars(title: &str, values: &[(String, f64)]) -> String {
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut svg = open(title, HEIGHT);
    axes(&mut svg, most, "", "");
    let wide = (WIDTH - LEFT) / values.len().max(1) as f64;
    for (index, (name, value)) in values.iter().enumerate() {
        let (x, y) = (LEFT + wide * index as f64, up(*value, most));
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}: {}</title></rect>\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + wide * 0.1,
            wide * 0.8,
            HEIGHT - BOTTOM - y,
            COLOURS[0],
            escaped(name),
            figure(*value),
            x + wide / 2.0,
            HEIGHT - 5.0,
            escaped(name),
        );
    }
    svg.push_str("</svg></figure>");
    svg
}

/// Parts of one whole, beside each other.
pub(super) fn shares(title: &str, parts: &[(String, f64)]) -> String {
    const THICK: f64 = 26.0;
    const LINE: f64 = 18.0;
    let whole: f64 = parts.iter().map(|(_, value)| value).sum();
    let height = THICK + LINE * parts.len().div_ceil(3) as f64 + 12.0;
    let mut svg = open(title, height);
    let mut x = 0.0;
    for (index, (name, value)) in parts.iter().enumerate() {
        let (wide, colour) = (
            WIDTH * value / whole.max(1e-12),
            COLOURS[index % COLOURS.len()],
        );
        let (column, row) = ((index % 3) as f64, (index / 3) as f64);
        let (key_x, key_y) = (column * WIDTH / 3.0, THICK + LINE * (row + 1.0));
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"0\" width=\"{wide:.1}\" height=\"{THICK}\" fill=\"{colour}\"/>\
             <rect x=\"{key_x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{key_y:.1}\">{}: {} ({:.0} %)</text>",
            key_y - 9.0,
            key_x + 14.0,
            escaped(name),
            figure(*value),
            100.0 * value / whole.max(1e-12),
        );
        x += wide;
    }
    svg.push_str("</svg></figure>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_of_nothing_is_still_one() {
        for svg in [line("a", &[], None, "b"), bars("a", &[]), shares("a", &[])] {
            assert!(
                svg.ends_with("</svg></figure>") && !svg.contains("NaN"),
                "{svg}"
            );
        }
    }

    #[test]
    fn the_highest_value_is_at_the_top_and_a_limit_above_it_is_seen() {
        let svg = line("a", &[0.0, 10.0], Some(10.0), "2 s");
        assert!(svg.contains(&format!("640.0,{TOP:.1}")), "{svg}");
        assert!(svg.contains("class=\"limit\""));
    }

    #[test]
    fn names_can_not_break_out_of_the_page() {
        assert!(!bars("<b>", &[("<script>".to_owned(), 1.0)]).contains("<script>"));
    }
}
