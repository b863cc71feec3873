/* Makes the N-th call that changes or opens a file below some folders fail. Loaded with LD_PRELOAD.

   BREAKS_FAULTS names a file of five 64-bit numbers: calls so far, the call to fail (0 for none),
   its errno, whether all later calls fail too, and calls that failed. It is shared by all processes
   of a command. BREAKS_BELOW holds the folders, with ':' between them. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CALLS, FAILING, ERROR, LASTING, FAILED, NUMBERS };

static long long *numbers;
static const char *below;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) void breaks_arm(void) {
    const char *file = getenv("BREAKS_FAULTS");
    below = getenv("BREAKS_BELOW");
    if (!file || !below || !*file) return;
    int fd = REAL(open64)(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(0, NUMBERS * sizeof *numbers, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) numbers = at;
}

static int is_below(const char *path) {
    for (const char *one = below; *one;) {
        size_t length = strcspn(one, ":");
        if (length && !strncmp(path, one, length)) return 1;
        one += length + (one[length] == ':');
    }
    return 0;
}

static int fails(const char *path, int opens) {
    if (!numbers || !path || !is_below(path)) return 0;
    long long call = 1 + __atomic_fetch_add(&numbers[CALLS], 1, __ATOMIC_SEQ_CST);
    long long failing = numbers[FAILING];
    if (!failing || call < failing || (call > failing && !numbers[LASTING])) return 0;
    __atomic_fetch_add(&numbers[FAILED], 1, __ATOMIC_SEQ_CST);
    errno = (int)numbers[ERROR];
    /* Only what makes a descriptor can find that there are too many. */
    if (errno == EMFILE && !opens) errno = EIO;
    return 1;
}

static const char *path_of(int fd, char *room, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, room, size - 1);
    if (length < 0) return 0;
    room[length] = 0;
    return room;
}

static int fails_fd(int fd) {
    char room[4096];
    return numbers && fails(path_of(fd, room, sizeof room), 0);
}

static int fails_at(int fd, const char *path, int opens) {
    char room[4096];
    if (!numbers || !path) return 0;
    return fails(*path == '/' || fd == AT_FDCWD ? path : path_of(fd, room, sizeof room), opens);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        int mode = va_arg(rest, int);                                                              \
        va_end(rest);                                                                              \
        return fails(path, 1) ? -1 : REAL(name)(path, flags, mode);                                \
    }
#define OPENAT(name)                                                                               \
    int name(int fd, const char *path, int flags, ...) {                                           \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        int mode = va_arg(rest, int);                                                              \
        va_end(rest);                                                                              \
        return fails_at(fd, path, 1) ? -1 : REAL(name)(fd, path, flags, mode);                     \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
    return fails_fd(fd) ? -1 : REAL(write)(fd, data, size);
}
int fsync(int fd) { return fails_fd(fd) ? -1 : REAL(fsync)(fd); }
int mkdir(const char *path, mode_t mode) { return fails(path, 0) ? -1 : REAL(mkdir)(path, mode); }
int mkdirat(int fd, const char *path, mode_t mode) {
    return fails_at(fd, path, 0) ? -1 : REAL(mkdirat)(fd, path, mode);
}
int rename(const char *from, const char *to) { return fails(to, 0) ? -1 : REAL(rename)(from, to); }
int renameat(int fd, const char *from, int other, const char *to) {
    return fails_at(other, to, 0) ? -1 : REAL(renameat)(fd, from, other, to);
}
int link(const char *from, const char *to) { return fails(to, 0) ? -1 : REAL(link)(from, to); }
int linkat(int fd, const char *from, int other, const char *to, int flags) {
    return fails_at(other, to, 0) ? -1 : REAL(linkat)(fd, from, other, to, flags);
}
