//! The metric catalogue: every service declares its series, and what was declared is the page.

use runtime::Metrics;

use super::cell;

/// The page.
pub fn page() -> String {
    let metrics = Metrics::new();
    let _ = (
        batch_intake::IntakeMetrics::new(&metrics),
        send_worker::SendMetrics::new(&metrics),
        ingress::IngressMetrics::new(&metrics),
        receipt_ingest::ReceiptMetrics::new(&metrics),
        reply_router::ReplyMetrics::new(&metrics),
        control::ControlMetrics::new(&metrics),
    );
    let mut page = String::from(
        "# Metrics\n\n\
         Every series of every service, made by `smsfleet docs metrics`. Each service exports its own under `/metrics` of\n\
         its `ops_listen` address, beside the process's CPU, memory and descriptors (`process_*`). A histogram counts seconds.\n\n\
         | metric | type | labels | what it counts |\n|---|---|---|---|\n",
    );
    for declared in metrics.catalogue() {
        let labels: Vec<String> = declared
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            declared.name,
            declared.kind,
            labels.join(", "),
            cell(&declared.help)
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_catalogue_is_the_one_in_deploy_docs() {
        super::super::tests::is_up_to_date("METRICS.md", &page(), "metrics");
    }

    #[test]
    fn every_service_is_in_the_catalogue() {
        let page = page();
        for prefix in ["intake", "send", "ingress", "receipt", "repl", "control"] {
            assert!(page.contains(&format!("`smsfleet_{prefix}")), "{prefix}");
        }
    }
}
