//! What happens to every message and every recipient: `cargo bench -p message`.

use std::time::Duration;

use divan::{Bencher, black_box, counter::ItemsCount};
use message::{
    BatchId, BatchKey, Chunk, Class, ConnectionId, DistributionId, Fields, MessageState, Msisdn,
    OrganizationId, Reference, Timestamp,
    chunk::{CHUNK_ROWS_MAX, CHUNK_VERSION, ChunkRow},
    number::{load_plans, normalise},
    segments::measure,
    state::Report,
    template::Template,
};

const TEXT: &str = "Hi {{first_name}}, how was your visit? Your answers help us: {{survey_link}} \
    Reply STOP to end these messages.";

fn main() {
    load_plans();
    divan::main();
}

fn fields(row: u32) -> Fields {
    let link = format!("https://s.example.org/{row:x}");
    [("first_name", "Zoé"), ("survey_link", &link)]
        .into_iter()
        .collect()
}

fn chunk() -> Chunk {
    let rows = (0..CHUNK_ROWS_MAX as u32).map(|row| ChunkRow {
        row,
        to: Msisdn::from_u64(33_639_980_000 + u64::from(row)).expect("a number"),
        segments: 1,
        fields: fields(row),
    });
    Chunk {
        v: CHUNK_VERSION,
        organization_id: OrganizationId::new("ORG_8mQ2").expect("an id"),
        distribution_id: DistributionId::new("dist_1").expect("an id"),
        batch_id: BatchId::new("b-1").expect("an id"),
        batch: BatchKey::from_u64(0x1234_5678_9abc_def0),
        connection_id: ConnectionId::new("conn_1").expect("an id"),
        class: Class::Bulk,
        attempt: 1,
        text: TEXT.to_owned(),
        expires_at: Timestamp::from_millis(1_763_037_898_000).plus(Duration::from_secs(86_400)),
        exempt_from_opt_out: false,
        rows: rows.collect(),
    }
}

#[divan::bench]
fn chunk_is_read(bencher: Bencher<'_, '_>) {
    let json = serde_json::to_vec(&chunk()).expect("JSON");
    bencher
        .counter(ItemsCount::new(CHUNK_ROWS_MAX))
        .bench(|| serde_json::from_slice::<Chunk>(black_box(&json)).expect("a chunk"));
}

#[divan::bench]
fn chunk_is_written(bencher: Bencher<'_, '_>) {
    let chunk = chunk();
    bencher
        .counter(ItemsCount::new(CHUNK_ROWS_MAX))
        .bench(|| serde_json::to_vec(black_box(&chunk)).expect("JSON"));
}

#[divan::bench]
fn text_is_rendered(bencher: Bencher<'_, '_>) {
    let (template, fields) = (Template::compile(TEXT).expect("a template"), fields(7));
    let mut out = String::new();
    bencher.bench_local(|| template.render(black_box(&fields), &mut out));
}

#[divan::bench(args = [
    "Hi Ana, how was your visit? Your answers help us: https://s.example.org/1f Reply STOP to end.",
    "Hi Zoé, how was your visit? Your answers help us: https://s.example.org/1f Reply STOP to end.",
    "Hi Żaneta, how was your visit? Your answers help us: https://s.example.org/1f Reply STOP.",
])]
fn segments_are_counted(text: &str) -> u16 {
    measure(black_box(text)).segments
}

#[divan::bench(args = ["+12025550123", "+447700900123", "07700 900123", "+61 491 570 006"])]
fn number_is_normalised(text: &str) -> bool {
    normalise(black_box(text), Some("GB")).is_ok()
}

#[divan::bench]
fn reference_is_written(bencher: Bencher<'_, '_>) {
    let mut out = String::new();
    let batch = BatchKey::from_u64(0x1234_5678_9abc_def0);
    bencher.bench_local(|| {
        out.clear();
        black_box(Reference { batch, row: 9_999 }).append_to(&mut out);
    });
}

#[divan::bench]
fn reference_is_read() -> Option<Reference> {
    black_box("2s1l4nhqyc6kw-7pr").parse().ok()
}

#[divan::bench]
fn reports_are_merged(bencher: Bencher<'_, '_>) {
    let report = |state, code: &str| Report {
        state,
        code: code.to_owned(),
    };
    let (sent, delivered) = (
        report(MessageState::Sent, ""),
        report(MessageState::Delivered, "0"),
    );
    bencher.bench(|| black_box(&delivered).outranks(black_box(&sent)));
}
