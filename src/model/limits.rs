//! Every bound of the house with its reason. Units come last in the names.

use std::time::Duration;

/// The longest path Linux opens, and longer than Windows names in practice.
pub const FILE_PATH_BYTES_MAX: usize = 4096;
/// Longer than any mail address; short enough to be a row's key.
pub const USERNAME_BYTES_MAX: usize = 254;
/// A host name has at most 253 bytes.
pub const DEVICE_NAME_BYTES_MAX: usize = 254;
/// What an owner calls a token: a line of text.
pub const TOKEN_LABEL_BYTES_MAX: usize = 128;
/// Tokens of one account: more than a household has machines and jobs, few enough to list.
pub const TOKENS_MAX: usize = 256;
/// What is kept of what a client calls itself; browsers send about 120 bytes.
pub const USER_AGENT_BYTES_MAX: usize = 200;
/// Short passwords are guessed; see also [`PASSWORD_CHARS_MAX`].
pub const PASSWORD_CHARS_MIN: usize = 8;
/// A passphrase of any length people type, without feeding argon2 megabytes.
pub const PASSWORD_CHARS_MAX: usize = 1024;
/// The same as UTF-8.
pub const PASSWORD_BYTES_MAX: usize = 4 * PASSWORD_CHARS_MAX;
/// How long an invitation may wait, in days; longer ones are forgotten in a drawer.
pub const INVITE_DAYS_MAX: u32 = 365;
/// The same where nobody says.
pub const INVITE_DAYS: u32 = 7;
/// Invitations that wait at once.
pub const INVITES_MAX: usize = 100;
/// A form or JSON body of a sign-in: three values of at most a few kilobytes, percent-encoded.
pub const FORM_BODY_BYTES_MAX: usize = 16 * 1024;
/// One part's headers in a multipart body; browsers and curl send less than 1 KiB besides a file name of 4 KiB.
pub const PART_HEADERS_BYTES_MAX: usize = 16 * 1024;
/// A `file-hash` part: 64 digits and some white space.
pub const HASH_PART_BYTES_MAX: usize = 256;
/// What lies before the first and behind the last boundary of a multipart body.
pub const MULTIPART_PADDING_BYTES_MAX: usize = 64 * 1024;
/// What a multipart body may have beside its file: both ends, two parts with their headers, and the hash.
pub const MULTIPART_OVERHEAD_BYTES_MAX: u64 =
    (2 * MULTIPART_PADDING_BYTES_MAX + 2 * PART_HEADERS_BYTES_MAX + HASH_PART_BYTES_MAX + 4096) as u64;
/// The longest boundary RFC 2046 allows.
pub const BOUNDARY_BYTES_MAX: usize = 70;

/// Bytes of all uploads together that were read from sockets and not yet worked on.
pub const BODY_BYTES_WAITING_MAX: usize = 24 * 1024 * 1024;
/// The same for one upload, so that one fast sender does not starve the rest.
pub const BODY_BYTES_WAITING_EACH_MAX: usize = 4 * 1024 * 1024;
/// Bytes are gathered to pieces of this size before they cross to a thread: HTTP/2 bodies arrive in 16 KiB.
pub const BODY_PIECE_BYTES: usize = 512 * 1024;
/// Pieces of a download that wait for a slow socket.
pub const DOWNLOAD_PIECES_WAITING_MAX: usize = 2;
/// Pieces of a JSON listing that wait for a slow socket, 64 KiB each.
pub const LISTING_PIECES_WAITING_MAX: usize = 4;
/// Threads for uploads, downloads and listings together; each holds at most a few chunks.
pub const WORK_THREADS_MAX: usize = 64;
/// Of these, threads that may wait for the log; the others are for readers when it hangs.
pub const CHANGE_THREADS_MAX: usize = 48;
/// A body that sends nothing for so long is given up.
pub const BODY_IDLE: Duration = Duration::from_secs(60);
/// What a body must bring, on average over each [`BODY_IDLE`] of waiting: a tenth of the slowest line that is still in use.
pub const BODY_BYTES_PER_S_MIN: u64 = 512;
/// A TLS handshake gets so long: two round trips, over a satellite and on a busy NAS.
pub const HANDSHAKE: Duration = Duration::from_secs(15);
/// A client gets so long for its first request line and headers.
pub const HEADERS_READ: Duration = Duration::from_secs(20);
/// The same for a later request of a connection, counted from the end of the one before: hyper has one clock for both. Go's clients
/// keep idle connections for 90 s and do not send a POST again that met a closed one.
pub const HEADERS_READ_LATER: Duration = Duration::from_secs(120);
/// Open connections over all listeners; well below the usual limit of descriptors.
pub const CONNECTIONS_MAX: usize = 4096;
/// Of these, from one address: a family behind one router has dozens of devices with a few each.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;
/// Requests that an HTTP/2 connection may take back in a minute: people who leave pages and restic that is stopped have dozens.
pub const RESETS_PER_MINUTE_MAX: u32 = 300;
/// Resets of streams that wait to be looked at, and streams that break the protocol; more end the connection.
pub const RESETS_WAITING_MAX: usize = 64;
/// Failed sign-ins of one address, or to one account, in a [`FAILURES_WINDOW`]: 2 880 guesses a day, and room for fingers that slip.
pub const FAILED_SIGN_INS_MAX: u32 = 20;
/// Other refused calls: a client that goes on with a session that ended asks for each of its files.
pub const REFUSED_CALLS_MAX: u32 = 1000;
/// After so long a failure is forgotten.
pub const FAILURES_WINDOW: Duration = Duration::from_secs(600);
/// Header fields of one request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of one request's head over HTTP/1.1; a path of 4 KiB percent-encoded is 12 KiB.
pub const HEAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one request's head over HTTP/2.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 64;
/// How long a stop waits for requests under way.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// A write to the log that takes longer is stuck: a disk that spins up needs ten seconds, one that retries a sector thirty.
pub const STUCK: Duration = Duration::from_secs(30);

/// argon2 runs at once; each takes 19 MiB and a core.
pub const PASSWORD_RUNS_MAX: usize = 2;
/// Sign-ins that wait for a run; more are told to come back.
pub const PASSWORD_RUNS_WAITING_MAX: usize = 16;
/// Sign-ins of one address that wait for each other, before they are among those: restic begins with five at once, a house full of devices
/// with some more.
pub const PASSWORD_RUNS_WAITING_OF_ADDRESS_MAX: usize = 16;

/// Files a page of a scan brings at once.
pub const SCAN_ROWS: usize = 1024;

/// Spaces and tabs between a boundary and its line's end; gateways of old mail added a few.
pub const DELIMITER_PADDING_BYTES_MAX: usize = 128;
/// Pairs of one query or form; the longest request of ours has six.
pub const QUERY_PAIRS_MAX: usize = 64;
/// Body frames below this are copied together; larger ones cross as they are. HTTP/2 brings 16 KiB, HTTP/1.1 up to 256 KiB.
pub const BODY_FRAME_COPIED_BYTES_MAX: usize = 64 * 1024;
/// The largest piece a download brings: the largest chunk.
pub const DOWNLOAD_PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of all downloads and listings together that wait for sockets; 16 of the aim of 128 MiB.
pub const DOWNLOAD_BYTES_WAITING_MAX: usize = 16 * 1024 * 1024;
/// A listing crosses from its thread in pieces of about this size.
pub const LISTING_PIECE_BYTES: usize = 64 * 1024;
/// While others wait for its memory, a download whose client takes nothing for so long is cut; it can go on with a range.
pub const DOWNLOAD_STALL: Duration = Duration::from_secs(3);
/// How often a download that waits for memory asks one of those; what hyper holds is free a moment after the cut.
pub const HUNGER_ASKS_EVERY: Duration = Duration::from_millis(20);
/// What the socket gets at once of a piece, so that a slow one shows progress often.
pub const SOCKET_SLICE_BYTES: usize = 256 * 1024;
/// What an HTTP/2 stream gets at once, a copy: hyper keeps one for each stream whose client takes nothing.
pub const STREAM_SLICE_BYTES: usize = 64 * 1024;
/// What hyper may keep for an HTTP/2 stream while the socket takes nothing: two slices. With [`PUMP_STREAMS_MAX`] stalled answers that
/// are 16 MiB beside the budget.
pub const STREAM_SEND_BYTES: usize = 2 * STREAM_SLICE_BYTES;
/// How long a request waits for a thread before it is told to come back.
pub const WORK_WAIT: Duration = Duration::from_secs(30);
/// A socket that takes no byte for so long is given up: what waits for it takes from the budget of all downloads, so this is
/// shorter than [`WORK_WAIT`]. A client goes on with a range.
pub const SOCKET_WRITE_IDLE: Duration = Duration::from_secs(15);
/// After an early refusal the connection stays half open so long, so that the answer is read before the reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes thrown away meanwhile: two socket buffers of a fast sender.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// HTTP/2 receive window of a stream: half of it is given back at a time, so 8 MiB are 45 to 90 MB/s at a round trip of 90 ms.
pub const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// HTTP/2 receive window of a connection: four streams at full speed. What all connections have together stays the same.
pub const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
/// The windows of all HTTP/2 connections together; with many open a new one gets its share.
pub const CONNECTION_WINDOWS_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// HTTP/2's own default, below which a window is not worth having.
pub const WINDOW_BYTES_MIN: u32 = 64 * 1024;
/// HTTP/2 frame size offered to clients.
pub const FRAME_BYTES: u32 = 256 * 1024;
/// Silence on an HTTP/2 connection until it is asked whether it lives, and the time to answer.
pub const PING_AFTER: Duration = Duration::from_secs(30);
/// See [`PING_AFTER`].
pub const PING_ANSWER: Duration = Duration::from_secs(20);
/// How often an answer under way asks whether its session or token is still valid; it has to end within five seconds.
pub const VIGIL_EVERY: Duration = Duration::from_secs(1);
/// Listen addresses of one process.
pub const LISTENERS_MAX: usize = 16;

/// The largest object of restic's: rustic reads sizes as 32 bits, and one larger object would make a whole list unreadable to it.
pub const OBJECT_BYTES_MAX: u64 = u32::MAX as u64;
/// An object is kept in parts of this size. A range of a pack costs the parts it touches, so they are smaller than a chunk may be;
/// at 85 bytes of manifest and rows each they cost nothing.
pub const OBJECT_PART_BYTES: usize = 1024 * 1024;
/// A lock of restic's on a full disk takes what is kept for records; one has about 200 bytes.
pub const RESERVE_LOCK_BYTES_MAX: u64 = 16 * 1024;
/// The same for an index, without which restic's `prune` removes nothing: one part, so that it costs the reserve no more than a commit may.
pub const RESERVE_INDEX_BYTES_MAX: u64 = OBJECT_PART_BYTES as u64;
/// What locks and indexes of restic's may take beside a quota, so that a full account can still be made smaller: the indexes that `prune`
/// writes anew for a large repository, and no way around the quota.
pub const QUOTA_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// What comes first over the socket: a path and a name of 4 KiB at most, or two passwords ([`PASSWORD_BYTES_MAX`]) of which JSON
/// makes six bytes each where they are control characters.
pub const PREAMBLE_BYTES_MAX: usize = 64 * 1024;
/// One saying of an errand: a repository with ten thousand locks.
pub const SAYING_BYTES_MAX: usize = 1024 * 1024;
/// Sayings that wait for a command that reads slowly.
pub const SAYINGS_WAITING_MAX: usize = 64;
/// How long a server waits for a holder that it asked to leave: longer than a restic that has just ended needs to say so.
pub const HOLDER_LEAVES: Duration = Duration::from_secs(4);
/// What a holder writes to its log in its life; a backup of a large tree logs ten thousand requests.
pub const HOLDER_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// What a pump copies at once in each direction; a unix socket's own buffer has about as much.
pub const PUMP_BYTES: usize = 256 * 1024;
/// How long a pump tries to reach a server or to have one started: a start after a crash takes up to ten seconds, restic
/// gives up after sixty.
pub const PUMP_PATIENCE: Duration = Duration::from_secs(45);
/// A holder without connections ends after so long; restic's commands in a script follow each other faster.
pub const HOLDER_IDLE: Duration = Duration::from_secs(5);
/// A pump whose client is suspended, or behind a line that is down for a moment, cannot connect anew: restic gives up when its
/// one connection ends. What it holds is bounded like any connection's.
pub const PUMP_SILENCE: Duration = Duration::from_secs(600);
/// Requests at once on a pump's connection: restic has all of its own on this one, and takes 100 for granted.
pub const PUMP_STREAMS_MAX: u32 = 128;
/// [`DOWNLOAD_STALL`] for pumps: restic's disk may have stopped for a moment, and it begins what was cut anew; still shorter than
/// [`WORK_WAIT`], which those have who wait for the memory.
pub const PUMP_STALL: Duration = Duration::from_secs(20);
