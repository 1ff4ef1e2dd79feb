/* The fault: a preloaded library that counts the calls with which a process changes something below one directory, and
 * lets call number n fail.
 *
 * RBACKUP_FAULT_DIR is the directory (an absolute path without links), RBACKUP_FAULT_CONTROL a file of `struct control`
 * that the test writes and reads while the process runs, RBACKUP_FAULT_LOG a text file that gets a line per fault and per
 * late write. Nothing is counted before `armed` is set: so the test can single out one request.
 *
 * What a fault does: the call is not made (a write may be made for its first half) and answers -1 with `error`; with
 * `lie` it answers success instead. A sync that fails may also lose what was not synced before, all of it or every other
 * page, as Linux does: it marks the pages clean and drops them. For that the library remembers the old bytes of
 * everything written to a file since its last good sync.
 *
 * A write to a file after a sync of it failed, unless the file was emptied or removed in between, is a late write and is
 * logged. sled's threads and its destructor make such writes, and a volume that was given up may take them; but with
 * `vanish` they come to nothing, so that whoever goes on believing in that file acknowledges what is not there.
 *
 * It sees a dynamic binary's calls through libc, no raw system calls and no stores through mmap. Clever copies
 * (copy_file_range, sendfile) onto files below the directory are refused, so that programs fall back to read and write.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum class { WRITE = 1, SIZE = 2, SYNC = 4, CREATE = 8, NAME = 16, REMOVE = 32, READ = 64 };
enum loss { NOTHING, ALL, EVERY_OTHER_PAGE };

/* In the order of tests/faults/shim.rs. */
struct control {
    uint64_t armed, classes, nth, error, sticky, loss, torn, vanish, lie;
    uint64_t counted, injected;
    uint64_t by_class[7];
};

/* The old bytes of one unsynced write; newest first. */
struct undo {
    struct undo *next;
    uint64_t inode;
    off_t at;
    size_t length, old_bytes;
    char old[];
};

#define FAILED_MAX 256
#define PAGE 4096

static struct control *control;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_bytes;
static struct undo *unsynced;
static uint64_t failed[FAILED_MAX];
static size_t failed_count;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("RBACKUP_FAULT_DIR"), *shared = getenv("RBACKUP_FAULT_CONTROL"), *log = getenv("RBACKUP_FAULT_LOG");
    if (!dir || !shared || !log || strlen(dir) >= sizeof root) return;
    strcpy(root, dir);
    root_bytes = strlen(root);
    int fd = syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) abort();
    syscall(SYS_close, fd);
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static void lock(void) { pthread_mutex_lock(&order); }

static void unlock(void) {
    int saved = errno;
    pthread_mutex_unlock(&order);
    errno = saved;
}

static void say(const char *kind, const char *call, const char *path) {
    char line[PATH_MAX + 128];
    int n = snprintf(line, sizeof line, "%s: %s %s\n", kind, call, path ? path : "?");
    if (n > 0 && syscall(SYS_write, log_fd, line, (size_t)n < sizeof line ? (size_t)n : sizeof line) < 0) abort();
}

/* ---- whose call it is ---- */

/* The part of an absolute path below the root, or NULL. The root itself is "". */
static const char *below(const char *path) {
    if (!control || strncmp(path, root, root_bytes) != 0) return NULL;
    if (path[root_bytes] == '\0') return path + root_bytes;
    return path[root_bytes] == '/' ? path + root_bytes + 1 : NULL;
}

static int fd_path(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = '\0';
    return 1;
}

/* An absolute path below the root. Nobody writes "..", "//" or links here; tests/faults.rs would see faults missing. */
static const char *resolve(int dir, const char *path, char *out) {
    if (!control || !path || strlen(path) >= PATH_MAX / 2) return NULL;
    int saved = errno;
    size_t n = 0;
    out[0] = '\0';
    if (path[0] != '/') {
        if (dir == AT_FDCWD ? syscall(SYS_getcwd, out, PATH_MAX) < 0 : !fd_path(dir, out)) return errno = saved, NULL;
        n = strlen(out);
        if (n + 2 + strlen(path) > PATH_MAX) return errno = saved, NULL;
        out[n++] = '/';
    }
    strcpy(out + n, path);
    errno = saved;
    return below(out);
}

/* 'f' a file below the root, 'd' a directory there, 0 anything else. `path` gets its name. */
static char classify(int fd, struct stat *st, char *path) {
    int saved = errno;
    char kind = 0;
    if (control && fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) && fd_path(fd, path) && below(path))
        kind = S_ISDIR(st->st_mode) ? 'd' : 'f';
    errno = saved;
    return kind;
}

/* ---- the fault itself ---- */

/* Counts a call; true when it is to fail. Sets errno. `nth` 0 never strikes. */
static int strikes(enum class class, const char *call, const char *path) {
    if (!control || !__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE)) return 0;
    __atomic_add_fetch(&control->by_class[__builtin_ctz(class)], 1, __ATOMIC_ACQ_REL);
    if (!(control->classes & class)) return 0;
    uint64_t number = __atomic_add_fetch(&control->counted, 1, __ATOMIC_ACQ_REL);
    if (!control->nth || !(control->sticky ? number >= control->nth : number == control->nth)) return 0;
    __atomic_add_fetch(&control->injected, 1, __ATOMIC_ACQ_REL);
    say("fault", call, path ? below(path) : NULL);
    errno = control->error;
    return 1;
}

static int is_failed(uint64_t inode) {
    for (size_t i = 0; i < failed_count; i++)
        if (failed[i] == inode) return 1;
    return 0;
}

static void set_failed(uint64_t inode) {
    if (!is_failed(inode) && failed_count < FAILED_MAX) failed[failed_count++] = inode;
}

/* The file is new, empty or gone: nothing is believed of it any more. */
static void forget(uint64_t inode) {
    for (size_t i = 0; i < failed_count; i++)
        if (failed[i] == inode) failed[i--] = failed[--failed_count];
    for (struct undo **at = &unsynced; *at;) {
        struct undo *one = *at;
        if (one->inode != inode) { at = &one->next; continue; }
        *at = one->next;
        free(one);
    }
}

/* Whether a change of this file is made in vain, because a sync of it failed before. */
static int vanishes(const struct stat *st, const char *call, const char *path) {
    if (!is_failed(st->st_ino)) return 0;
    say("late", call, below(path));
    return control->vanish != 0;
}

/* Notes what a write is about to cover. */
static void remember(int fd, const struct stat *st, off_t at, size_t length) {
    struct undo *one = malloc(sizeof *one + length);
    if (!one) abort();
    *one = (struct undo){unsynced, st->st_ino, at, length, 0};
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno, reader = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    ssize_t got = reader < 0 ? -1 : syscall(SYS_pread64, reader, one->old, length, at);
    if (reader >= 0) syscall(SYS_close, reader);
    errno = saved;
    one->old_bytes = got < 0 ? 0 : got;
    memset(one->old + one->old_bytes, 0, length - one->old_bytes);
    unsynced = one;
}

static int page_is_lost(uint64_t page) { return control->loss == ALL || (page + control->nth) % 2 == 0; }

/* Puts back what was there before the unsynced writes, page by page; the length stays, as a grown file's would. */
static void lose(int fd, uint64_t inode) {
    char link[64];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno, writer = syscall(SYS_openat, AT_FDCWD, link, O_WRONLY | O_CLOEXEC, 0);
    if (writer < 0 || fstat(writer, &st)) abort();
    for (struct undo *one = unsynced; one; one = one->next) {
        if (one->inode != inode) continue;
        for (size_t done = 0, step; done < one->length; done += step) {
            off_t at = one->at + done;
            step = PAGE - at % PAGE;
            if (step > one->length - done) step = one->length - done;
            if (at + (off_t)step > st.st_size) break;
            if (page_is_lost(at / PAGE)) syscall(SYS_pwrite64, writer, one->old + done, step, at);
        }
    }
    syscall(SYS_close, writer);
    errno = saved;
}

/* ---- files: open, write, truncate, allocate ---- */

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    struct stat st;
    const char *name = resolve(dir, path, whole);
    if (!name || (flags & O_TMPFILE) == O_TMPFILE) return syscall(SYS_openat, dir, path, flags, mode);
    int was_there = syscall(SYS_newfstatat, AT_FDCWD, whole, &st, 0) == 0;
    if (flags & O_CREAT) {
        /* A full disk does not keep anybody from opening what is there. */
        if (!(was_there && control->error == ENOSPC) && strikes(CREATE, "open", whole)) return -1;
    } else if (was_there && S_ISREG(st.st_mode) && strikes(READ, "open", whole)) {
        return -1;
    }
    int fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && (!was_there || (flags & O_TRUNC)) && fstat(fd, &st) == 0) {
        lock();
        forget(st.st_ino);
        unlock();
    }
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return open_at(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return open_at(dir, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* One write at a known place, under the lock. A call of one byte cannot be torn. */
static ssize_t put(int fd, const struct stat *st, const char *path, const void *bytes, size_t length, off_t at, const char *call) {
    int hit = strikes(WRITE, call, path);
    if (hit && control->lie) return length;
    if (!hit && vanishes(st, call, path)) return length;
    if (hit && control->torn && length > 1) {
        int error = errno;
        remember(fd, st, at, length / 2);
        syscall(SYS_pwrite64, fd, bytes, length / 2, at);
        return errno = error, -1;
    }
    if (hit) return -1;
    remember(fd, st, at, length);
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    struct stat st;
    char path[PATH_MAX];
    if (classify(fd, &st, path) != 'f') return syscall(SYS_pwrite64, fd, bytes, length, at);
    lock();
    ssize_t done = put(fd, &st, path, bytes, length, at, "pwrite");
    unlock();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return pwrite(fd, bytes, length, at); }

/* One part at a time is what a short write looks like; nobody who writes like that may rely on more. */
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return count ? pwrite(fd, parts[0].iov_base, parts[0].iov_len, at) : 0; }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

/* pwrite to a descriptor opened for appending would append and not move it; so asks for the end and moves it itself. */
ssize_t write(int fd, const void *bytes, size_t length) {
    struct stat st;
    char path[PATH_MAX];
    if (classify(fd, &st, path) != 'f') return syscall(SYS_write, fd, bytes, length);
    lock();
    fstat(fd, &st);
    off_t at = (fcntl(fd, F_GETFL) & O_APPEND) ? st.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t done = put(fd, &st, path, bytes, length, at, "write");
    if (done > 0) lseek(fd, at + done, SEEK_SET);
    unlock();
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat st;
    char path[PATH_MAX];
    if (classify(fd, &st, path) != 'f') return syscall(SYS_writev, fd, parts, count);
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

int ftruncate(int fd, off_t size) {
    struct stat st;
    char path[PATH_MAX];
    if (classify(fd, &st, path) != 'f') return syscall(SYS_ftruncate, fd, size);
    /* Making a file shorter needs no room. */
    if (!(size <= st.st_size && control->error == ENOSPC) && strikes(SIZE, "ftruncate", path)) return control->lie ? 0 : -1;
    lock();
    if (size == 0) forget(st.st_ino);
    int done = vanishes(&st, "ftruncate", path) ? 0 : syscall(SYS_ftruncate, fd, size);
    unlock();
    return done;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    struct stat st;
    char path[PATH_MAX];
    if (classify(fd, &st, path) == 'f' && strikes(SIZE, "fallocate", path)) return control->lie ? 0 : -1;
    return syscall(SYS_fallocate, fd, mode, at, length);
}

int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) { return fallocate(fd, 0, at, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t at, off64_t length) { return posix_fallocate(fd, at, length); }

/* ---- syncs ---- */

static int sync_fd(int fd, long number, const char *call) {
    struct stat st;
    char path[PATH_MAX];
    char kind = classify(fd, &st, path);
    if (!kind) return syscall(number, fd);
    lock();
    int hit = strikes(SYNC, call, path), done = hit ? -1 : syscall(number, fd);
    if (kind == 'f' && hit) {
        if (control->loss != NOTHING) lose(fd, st.st_ino);
        set_failed(st.st_ino);
    }
    if (kind == 'f' && done == 0 && !is_failed(st.st_ino)) forget(st.st_ino);
    if (hit && control->lie) done = 0;
    unlock();
    return done;
}

int fsync(int fd) { return sync_fd(fd, SYS_fsync, "fsync"); }
int fdatasync(int fd) { return sync_fd(fd, SYS_fdatasync, "fdatasync"); }

/* ---- names ---- */

static int rename_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    const char *left = resolve(from_dir, from, old), *right = resolve(to_dir, to, new);
    if ((left || right) && strikes(NAME, "rename", left ? old : new)) return -1;
    return syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_at(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_at(a, from, b, to, flags); }

int unlinkat(int dir, const char *path, int flags) {
    char whole[PATH_MAX];
    struct stat st;
    if (resolve(dir, path, whole)) {
        int is_there = lstat(whole, &st) == 0;
        if (is_there && strikes(REMOVE, flags & AT_REMOVEDIR ? "rmdir" : "unlink", whole)) return -1;
    }
    return syscall(SYS_unlinkat, dir, path, flags);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat st;
    return lstat(path, &st) ? -1 : unlinkat(AT_FDCWD, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

int mkdirat(int dir, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    struct stat st;
    if (resolve(dir, path, whole) && lstat(whole, &st) && strikes(NAME, "mkdir", whole)) return -1;
    return syscall(SYS_mkdirat, dir, path, mode);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char new[PATH_MAX];
    if (resolve(to_dir, to, new) && strikes(NAME, "link", new)) return -1;
    return syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* ---- reads, counted only when the test asks for them ---- */

static int read_strikes(int fd, const char *call) {
    struct stat st;
    char path[PATH_MAX];
    if (!control || !control->armed || !(control->classes & READ)) return 0;
    return classify(fd, &st, path) == 'f' && strikes(READ, call, path);
}

ssize_t read(int fd, void *bytes, size_t length) { return read_strikes(fd, "read") ? -1 : syscall(SYS_read, fd, bytes, length); }
ssize_t pread(int fd, void *bytes, size_t length, off_t at) { return read_strikes(fd, "pread") ? -1 : syscall(SYS_pread64, fd, bytes, length, at); }
ssize_t pread64(int fd, void *bytes, size_t length, off64_t at) { return pread(fd, bytes, length, at); }

/* ---- what is refused below the directory ---- */

static int is_ours(int fd) {
    struct stat st;
    char path[PATH_MAX];
    return classify(fd, &st, path) == 'f';
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    if (is_ours(out)) return errno = ENOSYS, -1;
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}

ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    if (is_ours(out)) return errno = ENOSYS, -1;
    return syscall(SYS_sendfile, out, in, at, length);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t length) { return sendfile(out, in, at, length); }
