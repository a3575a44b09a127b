//! One suite for both ledgers. Redis is the one at `SMSFLEET_REDIS_URL`; without it its half is
//! skipped, unless `SMSFLEET_REQUIRE_SERVICES=1` makes that a failure. Every test has its own key
//! prefix and removes its keys, so that a shared server is fine. `cluster.rs` and `guards.rs` start
//! private servers where `redis-server` is installed.

mod accounts;
mod batches;
mod claims;
mod cluster;
mod conversations;
mod distributions;
mod guards;
mod inbound;
mod lattice;
mod limits;
mod opt_outs;
mod parts;
mod provider_ids;

mod server;
mod settles;
mod workers;
mod world;

macro_rules! contract {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                crate::$module::$name(&crate::world::World::embedded()).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                if let Some(world) = crate::world::World::redis().await {
                    crate::$module::$name(&world).await;
                    world.tidy_up().await;
                }
            })*
        }
        /// Runs the whole suite against one server, a fresh world for each test.
        async fn everything(url: &str) {
            $({
                let world = world::World::at(url).await;
                $module::$name(&world).await;
                println!("held: {}", stringify!($name));
            })*
        }
    };
}

contract! {
    batches::a_batch_is_new_once_and_known_from_then_on,
    batches::the_same_id_with_other_content_is_a_conflict,
    batches::a_cancelled_distribution_takes_no_batch,
    batches::rows_are_entered_once_and_listed_in_pages,
    batches::rows_of_a_batch_that_is_not_registered_are_refused,
    batches::cancelling_counts_every_waiting_row_exactly,
    settles::only_what_was_given_up_can_be_reopened,
    batches::nothing_waits_in_a_cancelled_batch,
    claims::a_waiting_row_is_claimed_once,
    claims::a_repeated_call_gets_the_same_answer,
    claims::another_delivery_is_busy_until_the_claim_is_old,
    claims::a_redelivered_chunk_finds_its_claims_interrupted,
    claims::a_leftover_of_an_earlier_attempt_is_inert,
    claims::a_chunk_ahead_of_its_row_is_inert,
    claims::rows_nobody_entered_are_unknown,
    settles::an_outcome_is_written_once_however_often_it_is_told,
    settles::a_retry_counts_and_a_release_does_not,
    settles::the_owner_may_still_say_what_it_saw,
    settles::a_stranger_withdraws_nothing,
    settles::a_receipt_that_overtakes_the_answer_is_kept,
    settles::a_receipt_for_a_row_that_was_never_sent_changes_nothing,
    settles::a_receipt_between_attempts_counts,
    settles::two_reports_in_one_call_apply_in_order,
    settles::rows_that_go_their_own_way_keep_what_they_shared,
    settles::a_chunk_in_any_order_is_numbered_by_its_rows,
    lattice::any_order_of_receipts_ends_the_same,
    parts::a_message_is_delivered_when_its_last_part_is,
    parts::a_failed_part_decides_and_another_parts_success_does_not_change_it,
    parts::parts_that_overtake_the_answer_wait_for_their_number,
    parts::one_part_speaks_for_a_message_that_has_no_other,
    parts::a_receipt_for_the_whole_message_needs_no_parts,
    parts::any_order_of_part_reports_ends_the_same,
    opt_outs::an_opted_out_recipient_is_told_apart_from_the_others,
    opt_outs::the_later_change_holds_and_at_a_tie_the_refusal,
    opt_outs::a_refusal_of_one_sender_holds_for_that_sender_only,
    opt_outs::who_comes_back_to_the_organisation_comes_back_to_all_its_senders,
    provider_ids::a_message_is_found_by_its_providers_id,
    provider_ids::an_id_that_a_receipt_teaches_is_found_too,
    provider_ids::thousands_of_ids_are_all_found,
    conversations::the_newest_message_from_a_sender_is_found,
    conversations::thousands_of_conversations_are_all_found,
    limits::callers_of_one_limit_share_its_timetable,
    limits::several_limits_are_asked_at_once_and_answer_in_order,
    limits::a_held_limit_grants_nothing_before_the_hold_ends,
    limits::what_a_provider_refuses_narrows_the_limit_for_everybody,
    limits::an_operators_rate_holds_from_the_next_lease_on,
    distributions::a_distribution_lists_its_batches_in_order,
    distributions::distributions_are_listed_newest_first,
    distributions::queues_are_told_again_only_when_something_changed,
    distributions::a_queue_nobody_renews_leaves_the_list,
    distributions::a_queue_keeps_its_weight_until_somebody_says_another,
    distributions::what_changed_is_told_until_too_much_has,
    workers::a_worker_is_there_until_its_lease_ends_or_it_leaves,
    workers::workers_are_told_in_one_order_to_all,
    accounts::connections_keep_their_order_and_deleted_ones_stay,
    accounts::an_organisation_is_as_it_was_decided,
    inbound::an_inbound_message_is_seen_once_it_is_marked,
    inbound::parts_are_joined_in_any_order_and_told_by_one_of_them,
    inbound::what_never_becomes_whole_is_told_by_the_part_that_came_last,
    inbound::a_reference_may_name_another_message_later,
    inbound::refused_batches_are_listed_newest_first_and_capped,
}
