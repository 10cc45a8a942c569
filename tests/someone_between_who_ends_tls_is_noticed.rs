//! A proxy with a good certificate that speaks TLS to clients and plaintext to the server: every handshake is as it should
//! be, and still the way is not sealed. The server's own word for the session, and channel binding, tell.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::{
    Account, Forge, Forged, NO, Pgseal, Psql, Server, StandIn, all_hold_but, claim, record, refuses, tls,
    versions,
};

#[test]
fn someone_between_who_ends_tls_is_noticed() {
    for version in versions() {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        let server = Server::with(crate::harness::Install::of(*version))
            .conf("password_encryption = 'scram-sha-256'")
            .hba(rules)
            .start();
        server.sql("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'mine'; ALTER ROLE postgres PASSWORD NULL");
        let ours = Forge::new("ours");
        let roots = server.sandbox().file_of(&Account::current(), "roots.crt", 0o644, ours.certificate());
        let proxy = proxy_before(server.port(), &ours.leaf(&["localhost"]));
        let target = format!(
            "postgresql://boss@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}",
            proxy.port(),
            roots.display()
        );
        // psql with verify-full is content.
        let psql = Psql::to(format!("{target}&sslmode=verify-full")).env("PGPASSWORD", "mine");
        psql.run("SELECT 'in'").succeeded().says("in");

        let ran = Pgseal::new(server.sandbox())
            .args(["verify", &target, "--format", "json"])
            .env("PGPASSWORD", "mine")
            .run();
        all_hold_but(&ran, &[("no-plaintext-path", NO), ("session-encrypted", NO), ("channel-binding", NO)]);
        let session = claim(&ran, "session-encrypted");
        assert_eq!(session["evidence"], "pg_stat_ssl of our own session: ssl = f");
        record("someone between who ends TLS is noticed", 1);
    }
}

/// Ends TLS on a free port of 127.0.0.1 and goes on to the server without. Refuses clients without TLS, as such proxies do.
fn proxy_before(server: u16, certificate: &Forged) -> StandIn {
    let config = Arc::new(tls(certificate));
    // A guest that goes away in the middle is its own business.
    StandIn::serving(move |client| {
        relay(client, server, Arc::clone(&config)).ok();
    })
}

fn relay(mut client: TcpStream, server: u16, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first)?;
    if first != [0, 0, 0, 8, 4, 210, 22, 47] {
        return client.write_all(&refuses("28000", "SSL required"));
    }
    client.write_all(b"S")?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut client = StreamOwned::new(connection, client);
    client.conn.complete_io(&mut client.sock)?;
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    // By turns: neither is waited for long.
    let moment = Some(Duration::from_millis(2));
    client.sock.set_read_timeout(moment)?;
    server.set_read_timeout(moment)?;
    while pass(&mut client, &mut server)? && pass(&mut server, &mut client)? {}
    client.conn.send_close_notify();
    client.flush()
}

/// Hands on what is there; false at the end.
fn pass(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<bool> {
    let mut chunk = [0; 8192];
    match from.read(&mut chunk) {
        Ok(0) => Ok(false),
        Ok(n) => {
            to.write_all(&chunk[..n])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
        Err(error) => Err(error),
    }
}
