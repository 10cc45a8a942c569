//! Who owns a database decides where names are looked up in it. pgseal looks in as the superuser, and what it asks for is
//! the system's own, whatever else is called so (CVE-2018-1058).

use crate::harness::{Psql, Sealed, all_hold, record, versions};

/// Everything that a proof reads, under the same names; each makes its owner a superuser when it is read.
const TRAPS: &str = "CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO public;
CREATE FUNCTION trap.sprung() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF current_user <> 'app' THEN ALTER ROLE app SUPERUSER; END IF; RETURN true; END $$;
CREATE FUNCTION trap.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT trap.sprung()::integer';
CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung()::text';
CREATE FUNCTION trap.pg_read_binary_file(text) RETURNS bytea LANGUAGE sql AS 'SELECT trap.sprung()::text::bytea';
CREATE VIEW trap.pg_stat_ssl AS SELECT trap.sprung() AS ssl, 'TLSv1.3'::text AS version, 'x'::text AS cipher,
  256 AS bits, 1 AS pid;
CREATE VIEW trap.pg_authid AS SELECT 'x'::name AS rolname, trap.sprung() AS rolcanlogin, 'md5'::text AS rolpassword;
CREATE VIEW trap.pg_settings AS SELECT 'hba_file'::text AS name, trap.sprung()::text AS setting;
CREATE VIEW trap.pg_roles AS SELECT trap.sprung()::text::name AS rolname, 1::oid AS oid;
GRANT SELECT ON ALL TABLES IN SCHEMA trap TO public;
ALTER DATABASE mydb SET search_path = trap, pg_catalog;";

#[test]
fn what_is_called_like_a_catalog_is_not_read_in_its_place() {
    for version in versions() {
        let server = Sealed::of(*version);
        server.sql("CREATE ROLE app LOGIN PASSWORD 'x'; ALTER DATABASE mydb OWNER TO app");
        Psql::to(server.uri("app", "mydb")).env("PGPASSWORD", "x").run(TRAPS).succeeded();
        for ran in [server.verify(), server.up()] {
            all_hold(&ran);
        }
        assert_eq!(server.sql("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'app'"), "f");
        record("an owner of a database gains nothing from a verify", 1);
    }
}
