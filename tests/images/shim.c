/* The recorder: a preloaded library that writes down every change a process makes below one directory.
 *
 * RBACKUP_RECORD_DIR is the directory (an absolute path without links), RBACKUP_RECORD_LOG the file that gets one
 * record per call, with its payload, in the order in which the calls took effect: a change and its record happen under
 * one lock. A sync is two records, before and after, without the lock: what was written before the first is durable
 * from the second on, if it succeeded. Answers on TCP sockets ("HTTP/1.") are recorded before they are sent, with the
 * peer's port: so the log says what was on the disk when a client was promised something.
 *
 * It sees a dynamic binary's calls through libc. It does not see raw system calls or stores through mmap; the proof in
 * tests/images.rs (replaying the log gives the directory, byte by byte) would fail if there were any. Clever copies
 * (copy_file_range, sendfile, FICLONE) onto recorded files are refused, so that programs fall back to read and write.
 * sync_file_range passes through and is recorded as what it is: no sync.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATE = 1, WRITE, TRUNCATE, ALLOCATE, SYNC_BEGIN, SYNC_END, RANGE, RENAME, UNLINK, RMDIR, MKDIR, LINK, ANSWER, UNKNOWN
};

struct record {
    uint32_t kind, path_bytes;
    uint64_t inode, a, b, data_bytes;
};

static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_bytes;
static uint64_t syncs;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("RBACKUP_RECORD_DIR"), *log = getenv("RBACKUP_RECORD_LOG");
    if (!dir || !log || strlen(dir) >= sizeof root) return;
    strcpy(root, dir);
    root_bytes = strlen(root);
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

/* Writes one record whole; a recorder that cannot record must not go on. */
static void record(enum kind kind, uint64_t inode, uint64_t a, uint64_t b, const char *path, const void *data, size_t bytes) {
    struct record head = {kind, path ? strlen(path) : 0, inode, a, b, bytes};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)data, bytes}};
    size_t all = sizeof head + head.path_bytes + bytes;
    if ((size_t)syscall(SYS_writev, log_fd, parts, 3) != all) abort();
}

static void lock(void) { pthread_mutex_lock(&order); }

static void unlock(void) {
    int saved = errno;
    pthread_mutex_unlock(&order);
    errno = saved;
}

/* The part of an absolute path below the root, or NULL. The root itself is "". */
static const char *below(const char *path) {
    if (log_fd < 0 || strncmp(path, root, root_bytes) != 0) return NULL;
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

/* Makes a path absolute and plain: no "//", no "/./", no "/x/../". Links are not followed; nobody makes any here. */
static const char *resolve(int dir, const char *path, char *out) {
    char whole[2 * PATH_MAX] = "";
    if (log_fd < 0 || !path || strlen(path) >= PATH_MAX) return NULL;
    if (path[0] != '/') {
        if (dir == AT_FDCWD ? syscall(SYS_getcwd, whole, PATH_MAX) < 0 : !fd_path(dir, whole)) return NULL;
        strcat(whole, "/");
    }
    strcat(whole, path);
    size_t n = 0;
    for (char *save = NULL, *part = strtok_r(whole, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        size_t length = strlen(part);
        if (!strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) {
            while (n && out[--n] != '/') {}
            continue;
        }
        if (n + length + 2 > PATH_MAX) return NULL;
        out[n++] = '/';
        memcpy(out + n, part, length);
        n += length;
    }
    out[n] = '\0';
    return below(out);
}

/* 'f' a recorded file, 'd' a recorded directory, 's' a socket, 0 anything else. */
static char classify(int fd, uint64_t *inode) {
    struct stat st;
    char path[PATH_MAX];
    int saved = errno;
    char kind = 0;
    if (log_fd >= 0 && fstat(fd, &st) == 0) {
        *inode = st.st_ino;
        if (S_ISSOCK(st.st_mode)) kind = 's';
        else if ((S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && fd_path(fd, path) && below(path)) kind = S_ISDIR(st.st_mode) ? 'd' : 'f';
    }
    errno = saved;
    return kind;
}

static void answer(int fd, const void *bytes, size_t length) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int saved = errno;
    if (length >= 12 && !memcmp(bytes, "HTTP/1.", 7) && !getpeername(fd, (struct sockaddr *)&peer, &size) && peer.sin_family == AF_INET) {
        lock();
        record(ANSWER, 0, ntohs(peer.sin_port), atoi((const char *)bytes + 9), NULL, NULL, 0);
        unlock();
    }
    errno = saved;
}

/* ---- files: open, write, truncate, allocate ---- */

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = (flags & (O_CREAT | O_TRUNC)) ? resolve(dir, path, whole) : NULL;
    if (!name || (flags & O_TMPFILE) == O_TMPFILE) return syscall(SYS_openat, dir, path, flags, mode);
    struct stat st;
    lock();
    int was_there = lstat(whole, &st) == 0;
    int fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (!was_there) record(CREATE, st.st_ino, 0, 0, name, NULL, 0);
        else if (flags & O_TRUNC) record(TRUNCATE, st.st_ino, 0, 0, NULL, NULL, 0);
    }
    unlock();
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

/* A write at the file's own position: where that is must be asked under the lock. */
static ssize_t write_here(int fd, uint64_t inode, const struct iovec *parts, int count) {
    struct stat st;
    lock();
    off_t at = (fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &st) ? st.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t left = syscall(SYS_writev, fd, parts, count), done = left;
    for (int i = 0; i < count && left > 0; i++) {
        size_t here = (size_t)left < parts[i].iov_len ? (size_t)left : parts[i].iov_len;
        record(WRITE, inode, at, 0, NULL, parts[i].iov_base, here);
        at += here;
        left -= here;
    }
    unlock();
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    uint64_t inode;
    char kind = classify(fd, &inode);
    if (kind == 'f') return write_here(fd, inode, &(struct iovec){(void *)bytes, length}, 1);
    if (kind == 's') answer(fd, bytes, length);
    return syscall(SYS_write, fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    uint64_t inode;
    char kind = classify(fd, &inode);
    if (kind == 'f') return write_here(fd, inode, parts, count);
    if (kind == 's' && count > 0) answer(fd, parts[0].iov_base, parts[0].iov_len);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    uint64_t inode;
    if (classify(fd, &inode) != 'f') return syscall(SYS_pwrite64, fd, bytes, length, at);
    lock();
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, length, at);
    if (done > 0) record(WRITE, inode, at, 0, NULL, bytes, done);
    unlock();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return pwrite(fd, bytes, length, at); }

/* One part at a time is what a short write looks like; nobody who writes like that may rely on more. */
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return count ? pwrite(fd, parts[0].iov_base, parts[0].iov_len, at) : 0; }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

int ftruncate(int fd, off_t size) {
    uint64_t inode;
    if (classify(fd, &inode) != 'f') return syscall(SYS_ftruncate, fd, size);
    lock();
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done) record(TRUNCATE, inode, size, 0, NULL, NULL, 0);
    unlock();
    return done;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate(fd, size);
    close(fd);
    return done;
}

int truncate64(const char *path, off64_t size) { return truncate(path, size); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    uint64_t inode;
    if (classify(fd, &inode) != 'f') return syscall(SYS_fallocate, fd, mode, at, length);
    struct { uint64_t mode; } more = {mode};
    lock();
    int done = syscall(SYS_fallocate, fd, mode, at, length);
    if (!done) record(ALLOCATE, inode, at, length, NULL, &more, sizeof more);
    unlock();
    return done;
}

int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) { return fallocate(fd, 0, at, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t at, off64_t length) { return posix_fallocate(fd, at, length); }

/* ---- syncs ---- */

static int sync_fd(int fd, long call) {
    uint64_t inode;
    if (!classify(fd, &inode)) return syscall(call, fd);
    lock();
    uint64_t number = ++syncs;
    record(SYNC_BEGIN, inode, number, call == SYS_fsync, NULL, NULL, 0);
    unlock();
    int done = syscall(call, fd);
    lock();
    record(SYNC_END, inode, number, done == 0, NULL, NULL, 0);
    unlock();
    return done;
}

int fsync(int fd) { return sync_fd(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_fd(fd, SYS_fdatasync); }

int sync_file_range(int fd, off64_t at, off64_t length, unsigned flags) {
    uint64_t inode;
    if (classify(fd, &inode) == 'f') {
        lock();
        record(RANGE, inode, at, length, NULL, NULL, 0);
        unlock();
    }
    return syscall(SYS_sync_file_range, fd, at, length, flags);
}

/* ---- names ---- */

static int rename_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    const char *left = resolve(from_dir, from, old), *right = resolve(to_dir, to, new);
    lock();
    int done = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!done && left && right && flags <= RENAME_NOREPLACE) record(RENAME, 0, 0, 0, left, right, strlen(right));
    else if (!done && (left || right)) record(UNKNOWN, 0, 0, 0, left ? left : right, "rename", 6);
    unlock();
    return done;
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_at(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_at(a, from, b, to, flags); }

int unlinkat(int dir, const char *path, int flags) {
    char whole[PATH_MAX];
    const char *name = resolve(dir, path, whole);
    lock();
    int done = syscall(SYS_unlinkat, dir, path, flags);
    if (!done && name) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, 0, name, NULL, 0);
    unlock();
    return done;
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
    const char *name = resolve(dir, path, whole);
    lock();
    int done = syscall(SYS_mkdirat, dir, path, mode);
    if (!done && name && !lstat(whole, &st)) record(MKDIR, st.st_ino, 0, 0, name, NULL, 0);
    unlock();
    return done;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char old[PATH_MAX], new[PATH_MAX];
    struct stat st;
    const char *left = resolve(from_dir, from, old), *right = resolve(to_dir, to, new);
    lock();
    int done = syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!done && left && right && !lstat(new, &st)) record(LINK, st.st_ino, 0, 0, right, NULL, 0);
    else if (!done && right) record(UNKNOWN, 0, 0, 0, right, "link", 4);
    unlock();
    return done;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

/* ---- what is refused on recorded files, and answers ---- */

static int recorded(int fd) {
    uint64_t inode;
    return classify(fd, &inode) == 'f';
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    if (recorded(out)) return errno = ENOSYS, -1;
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}

ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    if (recorded(out)) return errno = ENOSYS, -1;
    return syscall(SYS_sendfile, out, in, at, length);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t length) { return sendfile(out, in, at, length); }

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    /* FICLONE and FICLONERANGE */
    if ((request == 0x40049409 || request == 0x4020940d) && recorded(fd)) return errno = EOPNOTSUPP, -1;
    return syscall(SYS_ioctl, fd, request, argument);
}

void *mmap(void *hint, size_t length, int protection, int flags, int fd, off_t at) {
    if (fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED) && recorded(fd)) {
        lock();
        record(UNKNOWN, 0, 0, 0, "", "mmap", 4);
        unlock();
    }
    return (void *)syscall(SYS_mmap, hint, length, protection, flags, fd, at);
}

void *mmap64(void *hint, size_t length, int protection, int flags, int fd, off64_t at) { return mmap(hint, length, protection, flags, fd, at); }

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    if (log_fd >= 0) answer(fd, bytes, length);
    return syscall(SYS_sendto, fd, bytes, length, flags, to, size);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) { return sendto(fd, bytes, length, flags, NULL, 0); }

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (log_fd >= 0 && message->msg_iovlen > 0) answer(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
}
