//! What scenarios stand on: real servers of chosen versions, the built binary, and places that are cleaned up.
//!
//! It knows how to start, change and stop things, and nothing of what pgseal promises. What it needs and does not find
//! fails the test with a sentence that says how to get it; nothing is ever skipped.
//! It runs on Linux: stray processes are found through `/proc`.

mod account;
mod browser;
mod bystander;
mod canary;
mod catalogue;
mod cluster;
mod composed;
mod conf_scribe;
mod contained;
mod debian;
mod depth;
mod dice;
mod docker;
mod docker_spy;
mod driven;
mod forge;
mod gate;
mod gate_scribe;
mod impostor;
mod install;
mod judges;
mod knock;
mod living;
mod namespace;
mod onlooker;
mod pgseal;
mod picture;
mod port;
mod process;
mod projected;
mod proof;
mod psql;
mod relay;
mod rule_judge;
mod rule_options;
mod rule_scribe;
mod rule_shapes;
mod rule_words;
mod sandbox;
mod schema;
mod screens;
mod sealed;
mod served;
mod server;
mod shelf;
mod shown;
mod sql;
mod stand_in;
mod storm;
mod stray;
mod template;
mod tls_cases;
mod tls_server;
mod trace;
mod tree;

pub(crate) use account::Account;
pub(crate) use browser::{Aside, Browser};
pub(crate) use bystander::Bystander;
pub(crate) use canary::Canary;
pub(crate) use catalogue::{named_and_gone, named_and_gone_on};
pub(crate) use cluster::Cluster;
pub(crate) use composed::Composed;
pub(crate) use conf_scribe::{CONF, ConfScribe};
pub(crate) use contained::Contained;
pub(crate) use debian::Debian;
pub(crate) use depth::{
    compose_versions, is_soak, record, samples, samples_each, versions, versions_in_turn,
};
pub(crate) use dice::Dice;
pub(crate) use docker::{
    Compose, Container, Network, Setup, Volume, docker, docker_env, docker_users, images, images_in_turn,
};
pub(crate) use docker_spy::{Call, Moment, Spy};
pub(crate) use driven::{Driven, FURTHER, QUICK};
pub(crate) use forge::{Forge, Forged, leaf_params, this_year};
pub(crate) use gate::{Gate, addresses_of, can_be_come_from, is_answer_of};
pub(crate) use gate_scribe::{GateScribe, Origins};
pub(crate) use impostor::{Impostor, asks_cleartext, asks_md5, asks_scram, refuses, tls};
pub(crate) use install::{Install, cache, project};
pub(crate) use judges::{Element, is_sarif, markdown, metrics, xml};
pub(crate) use knock::{Door, Guest, Said};
pub(crate) use living::{APP, APP_PASSWORD, Living, USUAL_HBA};
pub(crate) use namespace::{among_mounts_of_its_own, in_a_network_of_its_own, make_read_only, make_writable};
pub(crate) use onlooker::{holds, seen_by, watched};
pub(crate) use pgseal::Pgseal;
pub(crate) use picture::{Kept, Pictured, picture};
pub(crate) use port::Port;
pub(crate) use process::{Ran, Running, run};
pub(crate) use projected::{Projected, USUAL_FILE, USUAL_PROJECT};
pub(crate) use proof::{Holds, NO, UNTOLD, all_hold, all_hold_but, claim, claims};
pub(crate) use psql::Psql;
pub(crate) use relay::{Relay, Trick};
pub(crate) use rule_judge::{MAPS, MapRow, RuleJudge, RuleRow, Tls};
pub(crate) use rule_scribe::{MAIN, RuleScribe};
pub(crate) use rule_shapes::shapes;
pub(crate) use rustix::process::Signal;
pub(crate) use sandbox::Sandbox;
pub(crate) use schema::Schema;
pub(crate) use screens::{LOCALES, compare, mask};
pub(crate) use sealed::Sealed;
pub(crate) use served::served;
pub(crate) use server::Server;
pub(crate) use shown::Shown;
pub(crate) use sql::{Sql, hex_of, unhex};
pub(crate) use stand_in::StandIn;
pub(crate) use storm::{Bench, Resident, Storm, transactions};
pub(crate) use template::{PASSWORD, SUPERUSER};
pub(crate) use tls_cases::{Case, Minted};
pub(crate) use tls_server::{Key, Openssl, TlsServer};
pub(crate) use trace::{Met, Point, Trace, in_turn, on_all_versions, some_of};
pub(crate) use tree::{AsServer, Tree, as_bytes};
