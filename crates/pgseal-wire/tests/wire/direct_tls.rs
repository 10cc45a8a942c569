//! TLS from the first byte on, to a server before 17. What 17 and later do is a scenario of the workspace.

use pgseal_wire::tls::{Check, TlsWish};
use pgseal_wire::{Encryption, open};

use crate::certificates::{authority, good_leaf};
use crate::server::{Server, Setup};

#[tokio::test]
async fn a_server_before_17_hangs_up_on_it() {
    let server = Server::start(&Setup::tls(good_leaf(&authority("CA"), &["localhost"])));
    let wish = TlsWish::new(Check::None, "localhost");
    let error = open(&server.route(), Encryption::direct_tls(wish)).await.unwrap_err();
    assert_eq!(
        error.handshake().unwrap().to_string(),
        "the server closed the connection without answering the TLS handshake"
    );
}
