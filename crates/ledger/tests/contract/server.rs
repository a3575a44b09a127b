//! A private redis-server on a free port, for what a shared one can not show.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Ends with its owner.
pub struct Server {
    process: Child,
    _folder: tempfile::TempDir,
    pub url: String,
}

impl Server {
    /// Nothing where no `redis-server` is installed and services are not required.
    pub async fn start(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let started = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            let required = std::env::var("SMSFLEET_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
            assert!(
                !required,
                "redis-server is not installed, and services are required"
            );
            println!("skipped: redis-server is not installed");
            return None;
        };
        let server = Self {
            process,
            _folder: folder,
            url: format!("redis://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.connection().await.is_none() {
            assert!(Instant::now() < deadline, "redis-server did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub async fn connection(&self) -> Option<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.url.as_str()).expect("a valid URL");
        client.get_multiplexed_async_connection().await.ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
