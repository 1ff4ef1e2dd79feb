//! A session's generations: who may go on with which, until when, and what gives a thief away.
//!
//! `any_order_of_uses_and_rotations_follows_the_rules` plays random orders, restarts among them, against the rules written down
//! once more as a table of states; planted: the same play against rules with one word changed must not agree.

use crate::support::api::Way::Form;
use crate::support::{House, Member};
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn home() -> (House, Member) {
    let house = House::start();
    let member = house.member("anna", "laptop");
    (house, member)
}

#[track_caller]
fn serves(house: &House, session: &str) {
    house.list_files(session, None).expect(200);
}

#[track_caller]
fn refused(house: &House, session: &str) {
    house.list_files(session, None).refused(401, "no_session");
}

#[test]
fn a_rotated_session_serves_and_the_one_before_goes_on_for_a_minute() {
    let (house, member) = home();
    let second = house.rotated(&member.session);
    assert_ne!(second, member.session);
    serves(&house, &member.session);
    serves(&house, &second);
    house.advance(Duration::from_secs(50));
    serves(&house, &member.session);
    serves(&house, &second);
    let uploaded = house.upload(&member.session, b"/x", b"under way when the session rotated").expect(200);
    assert_eq!(uploaded.json()["device_id"], "laptop");
}

#[test]
fn a_lost_answer_is_asked_for_again_without_limit_in_time_and_gets_the_same() {
    let (mut house, member) = home();
    let second = house.rotated(&member.session);
    assert_eq!(house.rotated(&member.session), second);
    house.restart();
    assert_eq!(house.rotated(&member.session), second);
    house.advance(10 * DAY);
    serves(&house, &member.session);
    assert_eq!(house.rotated(&member.session), second);
    serves(&house, &second);
}

#[test]
fn rotating_with_the_one_before_once_the_new_one_was_used_revokes_both() {
    let (mut house, member) = home();
    let second = house.rotated(&member.session);
    serves(&house, &second);
    house.restart();
    serves(&house, &member.session);
    house.rotate(&member.session).refused(401, "no_session");
    refused(&house, &second);
    refused(&house, &member.session);
    assert!(house.log().contains("audit: a replaced session was used again"), "it is audited");
    house.login(Form, "laptop", "anna", &member.password).expect(201);
}

#[test]
fn the_one_before_is_a_thiefs_once_its_minute_is_over() {
    let (house, member) = home();
    let second = house.rotated(&member.session);
    serves(&house, &second);
    house.advance(Duration::from_secs(61));
    refused(&house, &member.session);
    refused(&house, &second);
}

#[test]
fn any_older_generation_of_a_living_family_revokes_it() {
    let (mut house, member) = home();
    let second = house.rotated(&member.session);
    let third = house.rotated(&second);
    house.restart();
    refused(&house, &member.session);
    refused(&house, &third);
    refused(&house, &second);
}

#[test]
fn sessions_of_a_family_that_was_replaced_touch_nothing() {
    let (house, member) = home();
    let second = house.rotated(&member.session);
    serves(&house, &second);
    let fresh = house.login(Form, "laptop", "anna", &member.password).expect(200).json();
    let fresh = fresh["session_id"].as_str().unwrap_or_default();
    for old in [&member.session, &second] {
        refused(&house, old);
        house.rotate(old).refused(401, "no_session");
    }
    serves(&house, fresh);
    house.curl("/api/v1/sessions?id=current").method("DELETE").session(fresh).send().expect(200);
    refused(&house, fresh);
    let later = house.login(Form, "laptop", "anna", &member.password).expect(201).json();
    house.rotate(fresh).refused(401, "no_session");
    serves(&house, later["session_id"].as_str().unwrap_or_default());
    assert!(!house.log().contains("audit: a replaced session"), "nobody was taken for a thief");
}

#[test]
fn all_who_rotate_at_once_get_the_same() {
    let (house, member) = home();
    let rotated: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| house.rotated(&member.session))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rotation")).collect()
    });
    assert!(rotated.iter().all(|next| *next == rotated[0]), "{} different ones", rotated.len());
    serves(&house, &rotated[0]);
}

#[test]
fn another_devices_header_is_401_and_audited_and_the_session_stays() {
    let (house, member) = home();
    house.device(&member, "phone");
    let rotate = || house.curl("/account/session/rotate").method("POST").session(&member.session);
    rotate().header("RBackup-Device", "phone").send().refused(401, "wrong_device");
    let list = house.curl("/list/files").session(&member.session).header("RBackup-Device", "phone");
    list.send().refused(401, "wrong_device");
    assert_eq!(house.log().matches("audit: a session was used for another device").count(), 2);
    serves(&house, &member.session);
    let next = rotate().header("RBackup-Device", "laptop").send().expect(200).json();
    house.secret(next["session_id"].as_str().unwrap_or_default());
}

#[test]
fn what_is_no_session_does_not_rotate() {
    let (house, member) = home();
    let (_, token) = house.token(&member.session, &serde_json::json!({"name": "cron", "scopes": ["admin"]}));
    for presented in ["", "rbs_", "garbage", &token, &member.session.replace("rbs_", "rbt_")] {
        let field = format!("RBackup-Session-Pass: {presented}");
        let ask = || house.curl("/account/session/rotate").method("POST");
        ask().args(["-H".to_owned(), field]).send().refused(401, "no_session");
        ask().header("Authorization", &format!("Bearer {presented}")).send().refused(401, "no_session");
    }
    serves(&house, &member.session);
}

#[test]
fn a_session_that_nobody_uses_ends_and_one_that_is_used_ends_too() {
    let (mut house, member) = home();
    let config = house.beside("short.toml");
    std::fs::write(&config, "[sessions]\nidle_days = 2\nabsolute_days = 9\n").expect("write a configuration");
    serves(&house, &member.session);
    house.advance(31 * DAY);
    refused(&house, &member.session);
    house.rotate(&member.session).refused(401, "no_session");
    let used = house.login(Form, "laptop", "anna", &member.password).expect(200).json();
    let used = used["session_id"].as_str().unwrap_or_default();
    for _ in 0..8 {
        house.advance(20 * DAY);
        serves_and_is_noted(&house, used);
    }
    house.advance(20 * DAY + Duration::from_secs(60));
    refused(&house, used);
    house.stop();
    house.open_with(&["--config", config.to_str().expect("a plain path")]);
    let short = house.login(Form, "laptop", "anna", &member.password).expect(200).json();
    let short = house.rotated(short["session_id"].as_str().unwrap_or_default());
    serves(&house, &short);
    house.advance(3 * DAY);
    refused(&house, &short);
}

/// A request whose use stands in the list afterwards, which is written beside it.
fn serves_and_is_noted(house: &House, session: &str) {
    let noted = || house.curl("/api/v1/sessions").session(session).send().expect(200).json()[0]["last_used"].clone();
    let before = noted();
    let begun = Instant::now();
    while noted() == before && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_kept_of_a_use_is_where_from_and_with_what_and_is_written_seldom() {
    let (house, member) = home();
    let listed = |agent: &str| {
        let ask = house.curl("/api/v1/sessions").session(&member.session).header("User-Agent", agent);
        ask.send().expect(200).json()[0].clone()
    };
    let first = listed("one");
    assert_eq!((&first["address"], &first["current"]), (&"127.0.0.1".into(), &true.into()), "{first}");
    assert_eq!((&first["device_id"], &first["generation"]), (&"laptop".into(), &0.into()), "{first}");
    let records = || std::fs::read(newest_volume(&house)).expect("the volume");
    let before = records();
    for _ in 0..50 {
        assert_eq!(listed("two")["last_used"], first["last_used"], "a use is noted to the hour");
    }
    assert!(records() == before, "fifty requests wrote nothing");
    house.advance(Duration::from_secs(2 * 60 * 60));
    listed("three");
    let begun = Instant::now();
    while listed("later")["user_agent"] != "three" && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let later = listed("later");
    assert!(later["user_agent"] == "three" && later["last_used"] != first["last_used"], "{later}");
}

fn newest_volume(house: &House) -> std::path::PathBuf {
    let volumes = std::fs::read_dir(house.data().join("volumes")).expect("volumes").flatten();
    volumes.map(|entry| entry.path()).max().expect("a volume").join("db")
}

/// The rules once more, as plainly as they can be written.
struct Rules {
    /// How many generations were made; the newest is the last.
    made: usize,
    /// When the newest was used first.
    used: Option<u64>,
    alive: bool,
    grace_s: u64,
}

impl Rules {
    /// What a use, or a rotation, with this generation is answered.
    fn ask(&mut self, generation: usize, rotates: bool, now: u64) -> u16 {
        let newest = self.made - 1;
        let in_grace = self.used.is_none_or(|used| now - used <= self.grace_s);
        let accepted = match generation {
            _ if !self.alive => return 401,
            newest_one if newest_one == newest => true,
            before if before + 1 == newest => {
                if rotates {
                    self.used.is_none()
                } else {
                    in_grace
                }
            }
            _ => false,
        };
        if !accepted {
            self.alive = false;
            return 401;
        }
        if generation == newest && rotates {
            self.made += 1;
            self.used = None;
        } else if generation == newest {
            self.used = self.used.or(Some(now));
        }
        200
    }
}

/// Plays a random order until the session is dead, and says where server and rules first differ.
fn play(house: &mut House, member: &Member, seed: u64, grace_s: u64) -> Option<String> {
    let login = house.login(Form, "laptop", "anna", &member.password).json();
    let mut sessions = vec![login["session_id"].as_str().expect("a session").to_owned()];
    let mut rules = Rules { made: 1, used: Some(0), alive: true, grace_s };
    let mut now = 0;
    for step in 0..STEPS {
        let dice = blake3::hash(&[seed.to_le_bytes(), u64::to_le_bytes(step)].concat());
        let [what, which, rotates, ..] = *dice.as_bytes();
        match what {
            0..8 => house.restart(),
            8..60 => {
                // Clear of the edge: the server's own clock goes on meanwhile.
                let seconds = [25, 25, 75, 7200][usize::from(which % 4)];
                house.advance(Duration::from_secs(seconds));
                now += seconds;
            }
            _ => {
                // Mostly the newest and the one before.
                let back = [0, 0, 0, 1, 1, 1, 1, 2][usize::from(which % 8)];
                let generation = sessions.len().saturating_sub(1 + back);
                if let Some(wrong) = ask(house, &mut rules, &mut sessions, generation, rotates < 80, now) {
                    return Some(format!("seed {seed}, step {step}: {wrong}"));
                }
            }
        }
    }
    None
}

const STEPS: u64 = 20;

fn ask(
    house: &House,
    rules: &mut Rules,
    sessions: &mut Vec<String>,
    generation: usize,
    rotates: bool,
    now: u64,
) -> Option<String> {
    let session = &sessions[generation];
    let answer = if rotates { house.rotate(session) } else { house.list_files(session, None) };
    let (status, expected) = (answer.status, rules.ask(generation, rotates, now));
    if status != expected {
        let made = sessions.len();
        return Some(format!("generation {generation} of {made}, rotates: {rotates}: {status} instead of {expected}"));
    }
    if rotates && expected == 200 {
        let next = answer.json()["session_id"].as_str().expect("a session").to_owned();
        match sessions.get(generation + 1) {
            Some(known) if *known != next => return Some("two different successors".to_owned()),
            Some(_) => {}
            None => sessions.push(next),
        }
    }
    None
}

#[test]
fn any_order_of_uses_and_rotations_follows_the_rules() {
    let (mut house, member) = home();
    for seed in 1..=12 {
        assert_eq!(play(&mut house, &member, seed, 60), None);
    }
    let planted = (1..=60).find_map(|seed| play(&mut house, &member, seed, 10));
    assert!(planted.is_some(), "rules with another grace agree too: the play shows nothing");
}
