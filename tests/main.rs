//! Scenarios: promises of pgseal, kept against real PostgreSQL servers.
//!
//! A file in this directory is one scenario, its name is the sentence that it proves, and it is a module of this one
//! test binary. How to write one: CONTRIBUTING.md. What a scenario stands on: `harness`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails, and says why"
)]

mod harness;

mod a_ca_key_that_is_missing_or_open_to_others_is_refused;
mod a_claim_that_no_longer_holds_is_named;
mod a_connection_is_decided_as_postgresql_decides_it;
mod a_connection_string_is_read_as_libpq_reads_it;
mod a_corrupt_settings_file_stops_every_verb;
mod a_delegate_run_by_hand_does_nothing_that_its_caller_could_not;
mod a_folder_may_have_any_name_that_a_line_can_hold;
mod a_folder_that_is_not_ours_is_left_alone;
mod a_full_or_read_only_disk_leaves_nothing_half_made;
mod a_new_server_that_is_not_proved_is_stopped_and_kept;
mod a_password_is_never_sent_to_a_server_that_does_not_verify;
mod a_port_that_is_taken_is_said_by_what;
mod a_program_that_never_ends_is_stopped_and_what_it_said_is_told;
mod a_rule_file_is_read_as_postgresql_reads_it;
mod a_second_up_changes_nothing_and_a_stopped_server_is_started_again;
mod a_server_listens_where_it_is_told_and_is_reached_there;
mod a_server_of_every_version_starts_answers_and_is_gone;
mod an_up_that_is_cut_off_leaves_nothing_or_what_the_next_one_finishes;
mod direct_tls_is_spoken_from_17_on_and_by_nobody_before;
mod every_client_accepts_the_chain_of_every_key_type;
mod every_licence_is_allowed_and_no_banned_crate_is_linked;
mod hostile_text_in_a_certificate_is_shown_escaped;
mod no_process_is_signalled_but_the_folders_own_server;
mod of_two_ups_at_once_one_wins_and_the_other_says_so;
mod options_that_cannot_be_followed_are_refused_before_anything_is_written;
mod output_that_nobody_takes_ends_without_a_panic;
mod passwords_and_keys_are_seen_by_nobody_else;
mod server_programs_that_cannot_serve_are_refused;
mod someone_between_who_ends_tls_is_noticed;
mod up_proves_every_claim_and_psql_gets_in_only_with_tls;
mod users_databases_and_passwords_may_be_any_that_postgresql_can_carry;
mod variables_of_libpq_do_not_reach_a_folders_server;
mod what_a_failed_scenario_leaves_running_is_stopped;
mod what_a_servers_user_does_reaches_nothing_of_others;
mod what_is_printed_as_json_is_what_the_schemas_say;
mod what_people_read_stays_as_it_is;
