//! Who fails too often waits, and nobody else: by address, by account, never for a success, never for a live session.

use crate::support::api::Way::Form;
use crate::support::{Answer, House, Member};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server with few failures allowed, and whatever else is written below `[limits]`.
fn house(limits: &str) -> House {
    let mut house = House::empty();
    let file = house.beside("rbackup.toml");
    std::fs::write(&file, format!("[limits]\n{limits}\n")).expect("write the config");
    house.open_with(&["--config", &file.to_string_lossy()]);
    house
}

fn login(house: &House, from: &str, name: &str, password: &str, fields: &[&str]) -> Answer {
    house.secret(password);
    let asked = house.curl("/account/login").args(["--interface", from]).args(fields);
    asked.data(format!("device_id=d-{from}&username={name}&password={}", password.replace(' ', "+")).as_bytes()).send()
}

fn restic(house: &House, from: &str, member: &Member, password: &str) -> Answer {
    let user = format!("{}:{password}", member.name);
    house.curl("/restic/r/config").args(["--interface", from, "-u", &user]).send()
}

/// A refusal that says when to come back.
#[track_caller]
fn too_many(answer: Answer) {
    let answer = answer.refused(429, "too_many");
    let seconds = answer.header("Retry-After").and_then(|text| text.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=600).contains(&seconds)), "Retry-After: {seconds:?}");
}

const FEW: &str = "failed_sign_ins_per_address = 3\nfailed_sign_ins_per_account = 5";

#[test]
fn an_address_that_failed_too_often_waits_even_with_the_right_password_and_others_do_not() {
    let house = house(FEW);
    let anna = house.member("anna", "laptop");
    for name in ["anna", "nobody", "anna"] {
        login(&house, "127.0.0.2", name, "wrong horse", &[]).refused(401, "bad_credentials");
    }
    too_many(login(&house, "127.0.0.2", "anna", "wrong horse", &[]));
    too_many(login(&house, "127.0.0.2", "anna", &anna.password, &[]));
    too_many(restic(&house, "127.0.0.2", &anna, &anna.password));
    let register = |from: &str| {
        house.curl("/account/register").args(["--interface", from]).data(b"username=bert&password=correct+horse").send()
    };
    too_many(register("127.0.0.2"));
    login(&house, "127.0.0.3", "anna", &anna.password, &[]).expect(201);
    register("127.0.0.3").expect(201);
    let listed = house.curl("/list/files").args(["--interface", "127.0.0.2"]).session(&anna.session).send();
    listed.expect(200);
}

#[test]
fn a_browser_that_guesses_waits_like_everybody() {
    let house = house(FEW);
    let anna = house.member("anna", "laptop");
    let sign_in = |from: &str, password: &str| {
        house.secret(password);
        let body = serde_json::json!({"username": "anna", "password": password, "device_id": "a browser"});
        let asked = house.json("POST", "/api/v1/session", &body).args(["--interface", from]);
        asked.header("Origin", house.url()).header("RBackup-UI", "1").send()
    };
    for _ in 0..3 {
        sign_in("127.0.0.2", "wrong horse").refused(401, "bad_credentials");
    }
    too_many(sign_in("127.0.0.2", &anna.password));
    let signed_in = sign_in("127.0.0.3", &anna.password).expect(201);
    let cookie = signed_in.header("Set-Cookie").and_then(|text| text.split([';', '=']).nth(1)).expect("a cookie");
    house.secret(cookie);
}

/// Asks the n-th time.
type Asking = fn(&House, usize) -> Answer;

/// Each limit with how often it lets somebody fail, and how somebody fails. Each failure is another account's, or another address's, where
/// the limit is not about those.
const LIMITS: [(&str, usize, Asking); 5] = [
    ("failed_sign_ins_per_address", 3, |house, n| {
        login(house, "127.0.0.2", &format!("nobody-{n}"), "wrong horse", &[])
    }),
    ("failed_sign_ins_per_account", 4, |house, n| login(house, &format!("127.0.1.{n}"), "anna", "wrong horse", &[])),
    ("failed_sign_ins_per_address", 2, |house, n| {
        let data = format!("username=nobody-{n}&recovery_code=0&new_password=another+horse");
        house.curl("/api/v1/account/recover").args(["--interface", "127.0.0.3"]).data(data.as_bytes()).send()
    }),
    ("failed_sign_ins_per_address", 2, |house, _| {
        let data = b"username=anna&password=correct+horse";
        house.curl("/account/register").args(["--interface", "127.0.0.4"]).data(data).send()
    }),
    ("refused_calls_per_address", 5, |house, n| {
        house.curl(&format!("/nothing-{n}")).args(["--interface", "127.0.0.5"]).send()
    }),
];

/// How often it is refused before it has to wait; nothing when it never has to.
fn refusals_before_waiting(house: &House, ask: Asking) -> Option<usize> {
    (1..=TRIES).position(|n| {
        let answer = ask(house, n);
        assert!((400..500).contains(&answer.status), "it fails: {} {}", answer.status, answer.text());
        answer.status == 429
    })
}

const TRIES: usize = 8;

#[test]
fn each_limit_is_exact_and_one_that_never_limits_is_seen() {
    let all = "failed_sign_ins_per_address = 0\nfailed_sign_ins_per_account = 0\nrefused_calls_per_address = 0";
    for (limit, most, ask) in LIMITS {
        let others: String = all.lines().filter(|line| !line.starts_with(limit)).collect::<Vec<_>>().join("\n");
        let limited = house(&format!("{others}\n{limit} = {most}"));
        limited.member("anna", "laptop");
        assert_eq!(refusals_before_waiting(&limited, ask), Some(most), "{limit} = {most}");
        let planted = house(all);
        planted.member("anna", "laptop");
        assert_eq!(refusals_before_waiting(&planted, ask), None, "planted: {limit} that never limits");
    }
}

#[test]
fn successes_never_count() {
    let house = house(FEW);
    let anna = house.member("anna", "laptop");
    for _ in 0..12 {
        let answer = login(&house, "127.0.0.2", "anna", &anna.password, &[]);
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        restic(&house, "127.0.0.2", &anna, &anna.password).expect(404);
        house.curl("/list/files").args(["--interface", "127.0.0.2"]).session(&anna.session).send().expect(200);
    }
    for name in ["b", "c", "d", "e", "f"] {
        house.register(Form, name, "correct horse").expect(201);
    }
}

#[test]
fn registrations_and_restics_basic_count_like_sign_ins() {
    let house = house(FEW);
    let anna = house.member("anna", "laptop");
    let register = || {
        house
            .curl("/account/register")
            .args(["--interface", "127.0.0.2"])
            .data(b"username=anna&password=correct+horse")
            .send()
    };
    (0..3).for_each(|_| drop(register().refused(409, "account_exists")));
    too_many(register());
    for _ in 0..3 {
        restic(&house, "127.0.0.4", &anna, "wrong horse").expect(401);
    }
    too_many(restic(&house, "127.0.0.4", &anna, "wrong horse"));
    restic(&house, "127.0.0.5", &anna, &anna.password).expect(404);
}

#[test]
fn an_account_under_attack_from_everywhere_locks_no_paired_device_out() {
    let house = house(FEW);
    let anna = house.member("anna", "laptop");
    login(&house, "127.0.0.3", "anna", &anna.password, &[]).expect(201);
    for n in 20..25 {
        login(&house, &format!("127.0.0.{n}"), "anna", "wrong horse", &[]).refused(401, "bad_credentials");
    }
    too_many(login(&house, "127.0.0.30", "anna", "wrong horse", &[]));
    too_many(login(&house, "127.0.0.31", "ANNA", &anna.password, &[]));
    login(&house, "127.0.0.32", "nobody", "wrong horse", &[]).refused(401, "bad_credentials");
    house.list_files(&anna.session, None).expect(200);
    login(&house, "127.0.0.3", "anna", &anna.password, &[]).expect(200);
    restic(&house, "127.0.0.3", &anna, &anna.password).expect(404);
}

#[test]
fn after_a_while_it_may_try_again() {
    let house = house("failed_sign_ins_per_address = 2\nfailures_window_s = 4");
    let anna = house.member("anna", "laptop");
    let begun = Instant::now();
    let mut refused = 0;
    while refused == 0 {
        let answer = login(&house, "127.0.0.2", "anna", "wrong horse", &[]);
        refused += usize::from(answer.status == 429);
        assert!(begun.elapsed() < PATIENCE, "a busy machine forgets as fast as it fails");
    }
    while login(&house, "127.0.0.2", "anna", &anna.password, &[]).status == 429 {
        assert!(begun.elapsed() < PATIENCE, "it is never let in again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn other_refused_calls_are_counted_and_live_sessions_are_not_asked() {
    let house = house("refused_calls_per_address = 5");
    let anna = house.member("anna", "laptop");
    let ask = |from: &str, path: &str| house.curl(path).args(["--interface", from]).send();
    for (path, status) in
        [("/list/files", 401), ("/nothing", 404), ("/restic/r/config", 401), ("/upload", 405), ("/list/devices", 401)]
    {
        ask("127.0.0.2", path).expect(status);
    }
    for path in ["/list/files", "/nothing", "/restic/r/config"] {
        too_many(ask("127.0.0.2", path));
    }
    ask("127.0.0.2", "/status").expect(200);
    house.curl("/list/files").args(["--interface", "127.0.0.2"]).session(&anna.session).send().expect(200);
    login(&house, "127.0.0.2", "anna", &anna.password, &[]).expect(201);
    ask("127.0.0.3", "/list/files").refused(401, "no_session");
}

#[test]
fn forwarded_addresses_are_believed_from_listed_proxies_only() {
    let house = house(&format!("{FEW}\ntrusted_proxies = [\"127.0.0.2\"]"));
    let anna = house.member("anna", "laptop");
    let claim = |from: &str, claimed: &str, password: &str| {
        login(&house, from, "anna", password, &["-H", &format!("X-Forwarded-For: {claimed}")])
    };
    for n in 1..4 {
        claim("127.0.0.9", &format!("192.0.2.{n}"), "wrong horse").refused(401, "bad_credentials");
    }
    too_many(claim("127.0.0.9", "192.0.2.77", &anna.password));
    claim("127.0.0.2", "192.0.2.1", &anna.password).expect(201);
    let named = |claimed: &str| {
        let fields = ["-H".to_owned(), format!("X-Forwarded-For: {claimed}")];
        let data = b"device_id=d&username=nobody&password=wrong+horse";
        house.curl("/account/login").args(["--interface", "127.0.0.2"]).args(fields).data(data).send()
    };
    (0..3).for_each(|_| drop(named("192.0.2.5").refused(401, "bad_credentials")));
    too_many(named("192.0.2.5"));
    too_many(named("6.6.6.6, 192.0.2.5"));
    named("2001:db8::1").refused(401, "bad_credentials");
    assert!(house.log().contains("client=192.0.2.5"), "the log names who it was:\n{}", house.log());
}

/// How many sign-ins of one address at once were answered 503, and how many sign-ins from elsewhere meanwhile, which all have to be served.
#[test]
fn an_address_that_signs_in_all_the_time_keeps_nobody_else_from_it() {
    let house = house("failed_sign_ins_per_address = 0\nfailed_sign_ins_per_account = 0");
    let (anna, bert) = (house.member("anna", "laptop"), house.member("bert", "laptop"));
    let many = format!(
        "{}/account/login?username=bert&device_id=crowd-[1-120]&password={}",
        house.url(),
        bert.password.replace(' ', "%20")
    );
    let mut crowd = std::process::Command::new("curl")
        .args(["-q", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "--interface", "127.0.0.2"])
        .args(["--parallel", "--parallel-immediate", "--parallel-max", "40", &many])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("curl runs");
    let mut served = 0;
    while crowd.try_wait().expect("look at curl").is_none() {
        let answer = login(&house, "127.0.0.3", "anna", &anna.password, &[]);
        assert!(matches!(answer.status, 200 | 201), "from elsewhere: {} {}", answer.status, answer.text());
        served += 1;
    }
    let said = std::io::read_to_string(crowd.stdout.take().expect("a pipe")).expect("readable");
    let codes = |code: &str| said.lines().filter(|line| *line == code).count();
    eprintln!(
        "{served} served from elsewhere; of the crowd {} served, {} told to come back",
        codes("201"),
        codes("503")
    );
    assert!(served > 0 && codes("201") > 0, "{said}");
    assert!(codes("503") > 0, "planted: forty at once are more than wait, so there was a crowd: {said}");
    assert_eq!(codes("201") + codes("200") + codes("503"), 120, "{said}");
}

#[test]
fn a_connection_has_so_many_streams_and_no_more() {
    use crate::flood::{connect, frame};
    use std::io::{Read, Write};
    let house = house("streams = 3");
    let mut socket = connect(&house);
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    socket.write_all(&frame(4, 0, 0, &[])).expect("sent");
    // `POST /account/login` whose bodies do not come.
    let mut block = vec![0x83, 0x86, 0x04, 14];
    block.extend(b"/account/login");
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    for stream in [1, 3, 5, 7, 9] {
        socket.write_all(&frame(1, 0x04, stream, &block)).expect("sent");
    }
    let (mut told, mut refused) = (None, Vec::new());
    while refused.len() < 2 {
        let mut head = [0; 9];
        socket.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).expect("its payload");
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            4 => told = told.or(payload.chunks(6).find(|pair| pair[..2] == [0, 3]).map(|pair| pair[5])),
            3 => refused.push((stream, payload[3])),
            _ => {}
        }
    }
    assert_eq!(told, Some(3), "SETTINGS_MAX_CONCURRENT_STREAMS says so before anybody asks");
    assert_eq!(refused, [(7, 7), (9, 7)], "the fourth and the fifth: REFUSED_STREAM");
}
