//! The page.

use std::fmt::Write as _;

use super::plot::{bars, escaped, line, shares};
use super::{Measured, columns};
use crate::outcome::{Outcome, figure};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}\
    table{border-collapse:collapse;margin:.7rem 0;font-size:13px}td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:right}\
    td:first-child,th:first-child{text-align:left}figure{margin:1rem 0}figcaption{font-weight:600}svg{width:100%;height:auto}\
    svg text{font:11px system-ui,sans-serif;fill:#333}.axis{stroke:#888}.line{fill:none;stroke-width:1.5}\
    .limit{stroke:#d55e00;stroke-dasharray:5 4}.missed{color:#b00020;font-weight:600}pre{overflow:auto;background:#f5f5f5;padding:.7rem}";

pub(super) fn write(measured: &Measured) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>smsfleet under load</title><style>{STYLE}</style>\
         <h1>smsfleet under load</h1>"
    );
    if let Some(machine) = measured.outcomes.last().map(|it| &it.machine) {
        let _ = write!(
            page,
            "<p>{}, {} cores, {} GB, Linux {}, RabbitMQ {}, Redis {}, commit {}, {} build. CPU in seconds per 10,000 messages.</p>",
            escaped(&machine.processor),
            machine.cores,
            machine.memory_gb,
            escaped(&machine.kernel),
            escaped(&machine.rabbitmq),
            escaped(&machine.redis),
            escaped(&machine.commit),
            machine.build,
        );
    }
    for comparison in &measured.comparisons {
        let _ = write!(
            page,
            "<h2>Peers</h2><pre>{}</pre>",
            escaped(&comparison.table())
        );
        let cpu = comparison
            .rows
            .iter()
            .map(|row| (row.name.clone(), row.cpu_total));
        page.push_str(&bars("CPU with broker and Redis", &cpu.collect::<Vec<_>>()));
    }
    for group in measured.scaling() {
        let _ = write!(
            page,
            "<h2>{}</h2><p>{}</p>",
            escaped(&group[0].scenario),
            escaped(&group[0].about)
        );
        table(&group, &mut page);
        for name in ["cpu.total", "wait.p99_seconds"] {
            if group.iter().all(|it| it.figures.contains_key(name)) {
                let of = |it: &&Outcome| (it.variant.clone().unwrap_or_default(), it.get(name));
                page.push_str(&bars(name, &group.iter().map(of).collect::<Vec<_>>()));
            }
        }
    }
    for outcome in &measured.outcomes {
        run(outcome, &mut page);
    }
    page.push_str("</html>");
    page
}

fn run(outcome: &Outcome, page: &mut String) {
    let _ = write!(
        page,
        "<h2>{}</h2><p>{}</p>",
        escaped(&outcome.title()),
        escaped(&outcome.about)
    );
    let _ = write!(page, "<p><code>{}</code></p>", escaped(&outcome.command));
    for fault in &outcome.faults {
        let _ = write!(
            page,
            "<p class=\"missed\">The books: {}</p>",
            escaped(fault)
        );
    }
    table(&[outcome], page);
    for met in &outcome.targets {
        let measured = met
            .measured
            .map_or_else(|| "not measured".to_owned(), figure);
        let class = if met.met { "met" } else { "missed" };
        let _ = write!(
            page,
            "<p class=\"{class}\">{} {}: {measured}, {class}</p>",
            escaped(&met.figure),
            escaped(&met.wanted)
        );
    }
    if outcome.throughput.len() > 1 {
        let per_second: Vec<f64> = outcome
            .throughput
            .iter()
            .map(|it| f64::from(*it) * 10.0)
            .collect();
        let end = format!("{} s", figure(per_second.len() as f64 / 10.0));
        page.push_str(&line(
            "Messages a second, by tenths",
            &per_second,
            outcome.limit,
            &end,
        ));
    }
    if outcome.per_second.len() > 1 {
        let seconds: Vec<f64> = outcome.per_second.iter().map(|it| f64::from(*it)).collect();
        let end = format!("{} s", seconds.len());
        page.push_str(&line(
            "Messages in each second beside the limit",
            &seconds,
            outcome.limit,
            &end,
        ));
    }
    let waits: Vec<(String, f64)> = outcome
        .waits
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(bound, count)| (format!("≤ {} s", figure(*bound)), *count as f64))
        .collect();
    if !waits.is_empty() {
        page.push_str(&bars(
            "Messages by the time from hand-over to request",
            &waits,
        ));
    }
    let cpu: Vec<(String, f64)> = outcome
        .figures
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("cpu.")?.to_owned(), *value)))
        .filter(|(name, value)| name != "total" && *value > 0.0)
        .collect();
    if !cpu.is_empty() {
        page.push_str(&shares("CPU seconds per 10,000 messages, by process", &cpu));
    }
    page.push_str("<details><summary>All figures</summary><table>");
    for (name, value) in &outcome.figures {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td></tr>",
            escaped(name),
            figure(*value)
        );
    }
    for (name, calls) in &outcome.redis_commands {
        let _ = write!(
            page,
            "<tr><td>Redis: {}</td><td>{calls}</td></tr>",
            escaped(name)
        );
    }
    page.push_str("</table></details>");
}

fn table(outcomes: &[&Outcome], page: &mut String) {
    let columns = columns(outcomes);
    page.push_str("<table><tr><th>run</th>");
    for name in &columns {
        let _ = write!(page, "<th>{name}</th>");
    }
    page.push_str("</tr>");
    for outcome in outcomes {
        let _ = write!(page, "<tr><td>{}</td>", escaped(&outcome.title()));
        for name in &columns {
            let value = outcome
                .figures
                .get(*name)
                .map_or_else(String::new, |it| figure(*it));
            let _ = write!(page, "<td>{value}</td>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing() {
        let outcome = Outcome {
            scenario: "send-single".to_owned(),
            figures: [("rate".to_owned(), 1.0), ("cpu.redis".to_owned(), 0.1)].into(),
            throughput: vec![1, 2, 3],
            per_second: vec![1, 2],
            limit: Some(2.0),
            waits: vec![(0.1, 3)],
            faults: vec!["<one>".to_owned()],
            ..Outcome::default()
        };
        let page = write(&Measured {
            outcomes: vec![outcome],
            comparisons: Vec::new(),
        });
        assert_eq!(page.matches("<svg").count(), 4);
        for outside in [
            "http://", "https://", "<script", "<link", "@import", "<one>",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
