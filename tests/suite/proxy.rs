//! `examples/proxy/nginx.conf` in a real nginx: TLS at the proxy, plain HTTP behind it, and nothing lost between them.

use crate::support::openssl::make_certificate;
use crate::support::{Answer, House, noise, sha256_hex};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EXAMPLE: &str = include_str!("../../examples/proxy/nginx.conf");
const PATIENCE: Duration = Duration::from_secs(60);

/// A running nginx in front of a house.
struct Nginx {
    child: Child,
    port: u16,
    certificate: PathBuf,
}

impl Nginx {
    fn before(house: &House) -> Self {
        let (certificate, key) = (house.beside("proxy-cert.pem"), house.beside("proxy-key.pem"));
        make_certificate(&certificate, &key);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|held| held.local_addr()).expect("a free port").port();
        let place = house.beside("nginx");
        std::fs::create_dir_all(&place).expect("a place for nginx");
        let mut block = EXAMPLE.to_owned();
        for (example, ours) in [
            ("listen 443 ", format!("listen 127.0.0.1:{port} ")),
            ("http://127.0.0.1:3369", house.url().to_owned()),
            ("/etc/ssl/backup.example/fullchain.pem", certificate.display().to_string()),
            ("/etc/ssl/backup.example/privkey.pem", key.display().to_string()),
        ] {
            assert!(block.contains(example), "the example has {example:?}");
            block = block.replace(example, &ours);
        }
        let at = place.display();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\nhttp {{ access_log off;\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
             {block} }}\n"
        );
        std::fs::write(place.join("nginx.conf"), config).expect("write nginx's configuration");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&place).arg("-e").arg(place.join("error.log")).arg("-c").arg(place.join("nginx.conf"));
        let started = command.stdin(Stdio::null()).spawn();
        let mut child = started.expect("nginx is installed: apt-get install nginx-light, or tests/run tools");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().expect("look at nginx");
            let said = std::fs::read_to_string(place.join("error.log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "nginx does not take the example: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, port, certificate }
    }

    fn ask(&self, house: &House, path: &str, words: &[&str], body: &[u8]) -> Answer {
        let asked = house.curl(path).at(&format!("https://127.0.0.1:{}{path}", self.port));
        let asked = asked.args(["--cacert".into(), self.certificate.as_os_str().to_owned()]).args(words);
        if body.is_empty() { asked.send() } else { asked.upload_file(body).send() }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

#[test]
fn everything_passes_the_nginx_of_the_example() {
    let house = House::start();
    let member = house.member("anna", "laptop");
    let nginx = Nginx::before(&house);
    let pass = format!("RBackup-Session-Pass: {}", member.session);
    let body = noise(7, 5_000_000);
    for version in ["--http1.1", "--http2"] {
        nginx.ask(&house, "/status", &[version], b"").expect(200);
        let path = format!("/upload?file_path=/{version}");
        let answer = nginx.ask(&house, &path, &[version, "-H", &pass, "-X", "PUT"], &body).expect(200).json();
        let id = &answer["versions"][0]["version"];
        let answer = nginx.ask(&house, &format!("/download?file_version_id={id}"), &[version, "-H", &pass], b"");
        let answer = answer.expect(200);
        assert_eq!(sha256_hex(&answer.body), sha256_hex(&body), "{version}");
        let own = format!("Origin: https://127.0.0.1:{}", nginx.port);
        nginx.ask(&house, "/status", &[version, "-H", &own], b"").expect(200);
        let foreign = nginx.ask(&house, "/status", &[version, "-H", "Origin: https://evil.example"], b"");
        foreign.refused(403, "foreign_origin");
    }
}
