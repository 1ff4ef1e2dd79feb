//! What must hold while a disk is full, and when it is not full any more.
//!
//! Each probe asks as a client asks and enters into the ledger what it was told; an error is a sentence about what should
//! have been otherwise.

use super::failing::reads_are_right;
use super::foreign;
use super::site::Site;
use super::table::Row;
use crate::kit::api::Failure;
use crate::kit::http::{Answer, Connection};
use crate::kit::ledger::Fate;
use crate::kit::random::Content;
use std::io::Write;
use std::time::{Duration, Instant};

/// A refusal that waits for a body comes after a minute; one that does not comes at once, also on a slow machine.
const REFUSAL_LIMIT: Duration = Duration::from_secs(30);
/// Uploads work again so long after there is room: at once on a machine with nothing else to do; the table shows it.
const UPLOADS_LIMIT: Duration = Duration::from_secs(30);
/// No disk here has so much room.
const HUGE: u64 = 8 << 30;

/// Name, method, headers, declared length, and what is sent of the body.
type Way<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u64, &'a [u8]);

/// All that must hold on a full disk.
pub fn while_full(site: &mut Site, row: &mut Row) -> Result<(), String> {
    life_goes_on(site, row)?;
    new_data_is_refused(site, row)?;
    life_goes_on(site, row)
}

/// The same for a disk that became full under the server, where somebody else took what it gave up: with no ballast left changes
/// may be refused, and not before. Everything can still be read.
pub fn while_full_or_used_up(site: &mut Site, row: &mut Row) -> Result<(), String> {
    match while_full(site, row) {
        Err(wrong) if is_want_of_room(&wrong) && site.ballast().0 == 0 => only_reads_go_on(site, row),
        other => other,
    }
}

fn only_reads_go_on(site: &mut Site, row: &mut Row) -> Result<(), String> {
    row.used_up = true;
    row.note += ", no ballast was left";
    new_data_is_refused(site, row)?;
    match reads_are_right(site, row)?.unavailable {
        0 => Ok(()),
        unavailable => Err(format!("{unavailable} reads were refused on a full disk")),
    }
}

/// 503 when the volume that failed is what is met first.
pub fn is_want_of_room(wrong: &str) -> bool {
    wrong.contains("status 507") || wrong.contains("status 503")
}

/// Every way to send new data is answered with 507 before a body was read.
pub fn new_data_is_refused(site: &mut Site, row: &mut Row) -> Result<(), String> {
    let (_, session) = site.signed_in().ok_or("nobody is signed in")?;
    let form = ("Content-Type", "multipart/form-data; boundary=rbackup-border");
    let waits = ("Expect", "100-continue");
    let pass = ("RBackup-Session-Pass", session.as_str());
    let ways: [Way; 5] = [
        // First: where it is not refused, this one is answered at once, and the others only when the body is given up.
        ("a raw body that waits for 100 Continue", "PUT", &[pass, waits], 1 << 20, b""),
        ("a form that waits for 100 Continue", "POST", &[pass, form, waits], 1 << 20, b""),
        ("a huge raw body of which nothing comes", "PUT", &[pass], HUGE, b""),
        ("a huge form of which nothing comes", "POST", &[pass, form], HUGE, b""),
        ("a small raw body", "PUT", &[pass], 600, &[7; 600]),
    ];
    for (name, method, headers, length, body) in ways {
        let begun = Instant::now();
        let mut wire = site.wire()?;
        let target = "/upload?file_path=/new%20data";
        let answer = wire.send_from(method, target, headers, length, |socket: &mut dyn Write| socket.write_all(body));
        let answer = answer.map_err(|error| format!("{name}: no answer: {error}"))?;
        is_no_space(&answer).map_err(|wrong| format!("{name}: {wrong}"))?;
        if begun.elapsed() > REFUSAL_LIMIT {
            return Err(format!("{name}: the refusal took {:?}", begun.elapsed()));
        }
        row.refused += 1;
    }
    super::restic::is_refused_in_words(site, row)
}

fn is_no_space(answer: &Answer) -> Result<(), String> {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status == 507 && body.contains("\"no_space\"") {
        return Ok(());
    }
    Err(format!("answered {} {body} instead of 507 no_space", answer.status))
}

/// Lists, downloads, removals, logins, registrations and `/status`.
pub fn life_goes_on(site: &mut Site, row: &mut Row) -> Result<(), String> {
    let mut wire = site.wire()?;
    site.newcomer(&mut wire).map_err(|failure| format!("a registration and a first login: {failure}"))?;
    changes_go_on(site, &mut wire, row)?;
    row.logins += 2;
    let seen = site.verify_all()?;
    row.lists += site.ledger.accounts.len() as u32;
    row.downloads += seen.downloaded as u32;
    let status = wire.send("GET", "/status", &[], b"").map_err(|error| format!("/status: {error}"))?;
    if status.status == 200 { Ok(()) } else { Err(format!("/status says {}", status.status)) }
}

/// A login again, a login of a new device, two removals of a version and one of a file.
fn changes_go_on(site: &mut Site, wire: &mut Connection, row: &mut Row) -> Result<(), String> {
    let (device, _) = site.signed_in().ok_or("nobody is signed in")?;
    let account = site.ledger.devices[&device].account.clone();
    let another = format!("{device} {}", site.ledger.devices.len());
    site.ledger.add_device(&another, &account);
    for name in [device, another] {
        site.sign_in(wire, &name).map_err(|failure| format!("a login of {name}: {failure}"))?;
        row.logins += 1;
    }
    for whole_file in [false, true, false] {
        let live = live(site);
        if !live.is_empty() {
            let version = *site.random.pick(&live);
            site.remove(wire, version, whole_file)
                .map_err(|failure| format!("a removal of version {version}: {failure}"))?;
            row.removals += 1;
        }
    }
    Ok(())
}

/// Every version that is there.
pub fn live(site: &Site) -> Vec<u64> {
    let live = site.ledger.versions.iter().filter(|(_, version)| version.fate == Fate::Live);
    live.map(|(id, _)| *id).collect()
}

/// The foreign files go, and everything is as before without a restart.
pub fn recovers(site: &mut Site, row: &mut Row) -> Result<(), String> {
    foreign::clear(&site.disk);
    let room_since = Instant::now();
    let fresh =
        |site: &mut Site, size| Content { seed: site.random.next(), size, text: false, inserted: Vec::new() }.bytes();
    loop {
        let bytes = fresh(site, 40_000);
        let mut wire = site.wire()?;
        match site.upload(&mut wire, "/after", &bytes) {
            Ok(_) => break,
            Err(Failure::Refused(503 | 507, _)) if room_since.elapsed() < UPLOADS_LIMIT => {}
            Err(failure) => {
                return Err(format!("{:.1?} after there was room: an upload: {failure}", room_since.elapsed()));
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    row.uploads_after_s = Some(room_since.elapsed().as_secs_f64());
    let (bytes, mut wire) = (fresh(site, 2 << 20), site.wire()?);
    site.upload(&mut wire, "/after, larger", &bytes).map_err(|failure| format!("a second upload: {failure}"))?;
    row.ballast_after_s = Some(site.ballast_is_whole(room_since)?);
    Ok(())
}

/// The end of every story: a clean stop, nothing damaged, and everything there once more.
pub fn all_is_well(site: &mut Site) -> Result<(), String> {
    site.verify_all().map_err(|wrong| format!("before the last restart: {wrong}"))?;
    site.stop()?;
    let (code, said) = site.command(&["check"]);
    if code != Some(0) {
        return Err(format!("check ended with {code:?}: {said}"));
    }
    site.start().map_err(|refused| format!("the last start: {refused}"))?;
    site.verify_all().map_err(|wrong| format!("after the last restart: {wrong}"))?;
    site.stop()
}
