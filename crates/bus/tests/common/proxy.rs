//! A way to the broker that a test can cut, block and mend.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use lapin::uri::AMQPUri;
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Whoever connects is cut off at once.
    Cut,
}

pub struct Proxy {
    url: String,
    way: watch::Sender<Way>,
    /// Both directions of what goes through.
    flows: Arc<Mutex<Vec<AbortHandle>>>,
    frozen: watch::Sender<bool>,
    listening: AbortHandle,
}

impl Proxy {
    pub async fn to(broker: &str) -> Self {
        let mut uri: AMQPUri = broker.parse().unwrap();
        let target = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        uri.authority.host = "127.0.0.1".to_owned();
        uri.authority.port = listener.local_addr().unwrap().port();
        let (way, ways) = watch::channel(Way::Open);
        let (frozen, freezing) = watch::channel(false);
        let flows = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&flows);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *ways.borrow() == Way::Cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&target).await else {
                    continue;
                };
                let freezing = freezing.clone();
                let flow = tokio::spawn(async move {
                    let (mut client_in, mut client_out) = client.into_split();
                    let (mut server_in, mut server_out) = server.into_split();
                    let _ = tokio::join!(
                        forward(&mut client_in, &mut server_out, freezing.clone()),
                        forward(&mut server_in, &mut client_out, freezing),
                    );
                });
                known.lock().unwrap().push(flow.abort_handle());
            }
        })
        .abort_handle();
        Self {
            url: uri.to_string(),
            way,
            flows,
            frozen,
            listening,
        }
    }

    /// The broker's URL by this way.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends every connection and lets none through.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
        self.cut_once();
    }

    /// Ends every connection; the next ones go through.
    pub fn cut_once(&self) {
        for flow in self.flows.lock().unwrap().drain(..) {
            flow.abort();
        }
    }

    pub fn mend(&self) {
        self.frozen.send_replace(false);
        self.way.send_replace(Way::Open);
    }

    /// Connections stay, and nothing goes through: what a lost route looks like.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_once();
    }
}

async fn forward(
    from: &mut (impl io::AsyncRead + Unpin),
    into: &mut (impl io::AsyncWrite + Unpin),
    mut frozen: watch::Receiver<bool>,
) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return into.shutdown().await;
        }
        if frozen.wait_for(|frozen| !frozen).await.is_err() {
            return Ok(());
        }
        into.write_all(&buffer[..read]).await?;
    }
}
