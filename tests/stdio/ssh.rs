//! restic through ssh: a throw-away sshd on loopback, a key that may do one thing only, as `examples/ssh` shows it.

use super::restic::{Restic, Running};
use super::rights::{is_append_only, prepare};
use super::site::Site;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// sshd on a port of its own. Killed when it goes.
struct Sshd {
    child: Child,
    config: PathBuf,
    authorized: PathBuf,
    public: String,
}

impl Sshd {
    fn start(site: &Site) -> Self {
        let found = PathBuf::from("/usr/sbin/sshd").exists() && Command::new("ssh").arg("-V").output().is_ok();
        assert!(found, "ssh and sshd are needed: apt-get install openssh-client openssh-server");
        std::fs::create_dir_all("/run/sshd").expect("sshd's own directory");
        for name in ["host", "key"] {
            let mut keygen = Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(site.path(name)).status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen makes a key");
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (authorized, sshd) = (site.path("authorized_keys"), site.path("sshd_config"));
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\n",
            site.path("host").display(),
            authorized.display()
        );
        std::fs::write(&sshd, text).unwrap();
        let log = std::fs::File::create(site.path("sshd.log")).unwrap();
        let child =
            Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(&sshd).stderr(log).spawn().expect("sshd");
        let config = site.path("ssh_config");
        let text = format!(
            "Host nas\n HostName 127.0.0.1\n Port {port}\n User root\n IdentityFile {}\n IdentitiesOnly yes\n BatchMode yes\n \
             StrictHostKeyChecking no\n UserKnownHostsFile {}\n",
            site.path("key").display(),
            site.path("known_hosts").display()
        );
        std::fs::write(&config, text).unwrap();
        let public = std::fs::read_to_string(site.path("key.pub")).unwrap();
        let sshd = Self { child, config, authorized, public };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    /// What the key may do.
    fn authorize(&self, options: &str) {
        std::fs::write(&self.authorized, format!("{options}{}", self.public)).unwrap();
    }

    fn restic(&self, site: &Site) -> Restic {
        let program = format!("rclone.program=ssh -F {} nas rbackup", self.config.display());
        Restic::new(site, "rclone:photos", &["-o", &program])
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// The forced command of the example, with the surroundings of this place.
fn forced(site: &Site, flags: &str) -> String {
    let words: Vec<String> =
        site.environment().iter().map(|(name, path)| format!("{name}={}", path.display())).collect();
    let program = site.program().get_program().to_string_lossy().into_owned();
    format!("restrict,command=\"env {} {program} serve restic --stdio {flags} photos\" ", words.join(" "))
}

#[test]
fn a_forced_command_gives_the_right_to_append_and_no_other() {
    let site = Site::new("ssh");
    let sshd = Sshd::start(&site);
    let (full, limited) = (site.over_stdio("photos", ""), sshd.restic(&site));
    prepare(&site, &full);
    sshd.authorize(&forced(&site, "--append-only"));
    is_append_only(&site, &full, &limited).unwrap_or_else(|why| panic!("{why}"));
    let ssh =
        Running::of(Command::new("ssh").arg("-F").arg(&sshd.config).args(["nas", "id"]).stdin(Stdio::null())).end();
    assert!(!ssh.stdout.contains("uid="), "the key runs nothing else");
    // Planted: the flag that somebody forgot, and the key that is not forced.
    sshd.authorize(&forced(&site, ""));
    let seen = is_append_only(&site, &full, &limited);
    assert!(seen.as_ref().is_err_and(|why| why.contains("was not refused")), "the planted loss was not seen: {seen:?}");
    sshd.authorize("");
    let ssh =
        Running::of(Command::new("ssh").arg("-F").arg(&sshd.config).args(["nas", "id"]).stdin(Stdio::null())).end();
    assert!(ssh.stdout.contains("uid=0"), "a key that is not forced would run it: {}", ssh.stderr);
}

#[test]
fn ssh_does_not_wait_for_the_holder() {
    let site = Site::new("ssh-ends");
    let sshd = Sshd::start(&site);
    sshd.authorize(&forced(&site, ""));
    let begun = Instant::now();
    let ssh =
        Running::of(Command::new("ssh").arg("-F").arg(&sshd.config).args(["nas", "x"]).stdin(Stdio::null())).end();
    assert_eq!(ssh.code, Some(0), "{}", ssh.stderr);
    assert!(site.holder().is_some(), "a holder was started");
    assert!(begun.elapsed() < Duration::from_secs(4), "ssh waited for it: {:?}", begun.elapsed());
    sshd.restic(&site).must(&["init"]);
    site.wait_until_free();
}
