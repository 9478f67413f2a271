/*
 * What a machine may do to the platform, put before the C library with LD_PRELOAD: a disk that
 * is full, slow or broken, and a clock that jumps. MESHAGENT_TEST_FAULTS names a file of the
 * four numbers below, which the test changes while the platform runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t space;         /* bytes that may still be written; negative: any number */
    int64_t sync_delay;    /* microseconds that a sync takes longer */
    int64_t sync_fails;    /* how many syncs fail; negative: all */
    int64_t clock_offset;  /* seconds that the clock is ahead */
};

static volatile struct faults *faults;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("MESHAGENT_TEST_FAULTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) faults = mapped;
}

static int is_file(int file, struct stat *about) {
    return faults && fstat(file, about) == 0 && S_ISREG(about->st_mode);
}

/* How much of a write there is room for. What a file has already takes no more. */
static int64_t room(int file, int64_t wanted, int64_t offset) {
    struct stat about;
    int64_t space = faults ? faults->space : -1;
    if (space < 0 || !is_file(file, &about)) return wanted;
    if (offset < 0) offset = syscall(SYS_lseek, file, 0, SEEK_CUR);
    int64_t grows = offset + wanted - about.st_size;
    if (grows > wanted) grows = wanted;
    if (grows <= 0) return wanted;
    int64_t taken = space < grows ? space : grows;
    faults->space = space - taken;
    if (wanted - grows + taken > 0) return wanted - grows + taken;
    errno = ENOSPC;
    return -1;
}

ssize_t write(int file, const void *bytes, size_t count) {
    int64_t fits = room(file, count, -1);
    return fits < 0 ? -1 : syscall(SYS_write, file, bytes, (size_t)fits);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    struct stat about;
    if (faults && faults->space >= 0 && is_file(file, &about)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_writev, file, parts, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    int64_t fits = room(file, count, offset);
    return fits < 0 ? -1 : syscall(SYS_pwrite64, file, bytes, (size_t)fits, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return pwrite64(file, bytes, count, offset);
}

int ftruncate64(int file, off64_t length) {
    struct stat about;
    if (faults && faults->space >= 0 && is_file(file, &about) && length > about.st_size) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

static int sync_with(long call, int file) {
    if (faults && faults->sync_delay > 0) usleep(faults->sync_delay);
    if (faults && faults->sync_fails) {
        if (faults->sync_fails > 0) faults->sync_fails--;
        errno = EIO;
        return -1;
    }
    return syscall(call, file);
}

int fsync(int file) { return sync_with(SYS_fsync, file); }

int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && faults && clock == CLOCK_REALTIME) now->tv_sec += faults->clock_offset;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
