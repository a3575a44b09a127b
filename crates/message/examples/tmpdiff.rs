//! temporary
use std::io::BufRead;
fn main() {
    let t = std::time::Instant::now();
    message::number::load_plans();
    eprintln!("load {:?}", t.elapsed());
    let lines: Vec<String> = std::io::stdin()
        .lock()
        .lines()
        .map(|l| l.expect("utf8"))
        .collect();
    let t = std::time::Instant::now();
    let mut out = String::new();
    for l in &lines {
        let (r, n) = l.split_once('\t').expect("tab");
        let got = message::number::normalise(n, (!r.is_empty()).then_some(r));
        let reg = got.ok().and_then(message::number::region_of).unwrap_or("-");
        out += &match got {
            Ok(m) => format!("{}\t{reg}\n", m.e164()),
            Err(f) => format!("!{}\t-\n", f.as_str()),
        };
    }
    eprintln!("{} in {:?}", lines.len(), t.elapsed());
    print!("{out}");
}
