/* Counts the calls that change files below a folder, over all processes that load this, and lets one of them
   fail, or kills there: what the control file says (faults.py writes it). Built and preloaded by faults.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KILL = -1, KILL_GROUP = -2 };

static struct control {
    atomic_long count; /* calls so far */
    long at;           /* the call to act at; 0: only count */
    long act;          /* KILL, KILL_GROUP, or the errno to fail with */
    long sticky;       /* whether every later call fails as well */
    char under[512];   /* the folder whose files count */
} *control;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("FAULT_FILE");
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int file = path ? real(path, O_RDWR) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) control = found;
}

static int is_below(int folder, const char *path) {
    char whole[PATH_MAX * 2] = "", link[64];
    if (!control || !control->under[0]) return 0;
    if (!path || path[0] != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, whole, PATH_MAX);
        whole[size > 0 ? size : 0] = 0;
        if (path) strcat(strcat(whole, "/"), path);
    } else {
        strncpy(whole, path, PATH_MAX);
    }
    return strncmp(whole, control->under, strlen(control->under)) == 0;
}

/* Whether this call is to fail; does not return where it is to be the last one. */
static int fails(int folder, const char *path, int torn, const void *data, size_t size) {
    if (!is_below(folder, path)) return 0;
    long now = atomic_fetch_add(&control->count, 1) + 1;
    if (!control->at || now < control->at || (now > control->at && !control->sticky)) return 0;
    if (control->act < 0) {
        ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
        if (torn && size > 1) (void)!real(folder, data, size / 2);
        kill(control->act == KILL_GROUP ? 0 : getpid(), SIGKILL);
    }
    errno = (int)control->act;
    return 1;
}

#define REAL(name, ...) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)
#define WRAP(type, name, params, folder, path, ...) \
    type name params { return fails(folder, path, 0, NULL, 0) ? -1 : REAL(name, __VA_ARGS__); }

#define OPENS(name, params, folder, ...)                                                  \
    int name params {                                                                     \
        mode_t mode = 0;                                                                  \
        if (flags & O_CREAT) {                                                            \
            va_list rest;                                                                 \
            va_start(rest, flags);                                                        \
            mode = va_arg(rest, mode_t);                                                  \
            va_end(rest);                                                                 \
        }                                                                                 \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(folder, path, 0, NULL, 0)) return -1; \
        return REAL(name, __VA_ARGS__, mode);                                             \
    }
OPENS(open, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPENS(open64, (const char *path, int flags, ...), AT_FDCWD, path, flags)
OPENS(openat, (int folder, const char *path, int flags, ...), folder, folder, path, flags)
OPENS(openat64, (int folder, const char *path, int flags, ...), folder, folder, path, flags)

ssize_t write(int file, const void *data, size_t size) {
    return fails(file, NULL, 1, data, size) ? -1 : REAL(write, file, data, size);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t size);
WRAP(ssize_t, sendfile, (int out, int in, off_t *offset, size_t size), out, NULL, out, in, offset, size)
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size);
WRAP(ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t size), out, NULL, out, in, offset, size)
WRAP(int, fsync, (int file), file, NULL, file)
WRAP(int, fdatasync, (int file), file, NULL, file)
WRAP(int, ftruncate, (int file, off_t size), file, NULL, file, size)
WRAP(int, ftruncate64, (int file, off64_t size), file, NULL, file, size)
WRAP(int, rename, (const char *from, const char *to), AT_FDCWD, to, from, to)
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned int how), b, to, a, from, b, to, how)
WRAP(int, link, (const char *from, const char *to), AT_FDCWD, to, from, to)
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int how), b, to, a, from, b, to, how)
WRAP(int, symlink, (const char *from, const char *to), AT_FDCWD, to, from, to)
WRAP(int, unlink, (const char *path), AT_FDCWD, path, path)
WRAP(int, unlinkat, (int folder, const char *path, int how), folder, path, folder, path, how)
WRAP(int, mkdir, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
WRAP(int, rmdir, (const char *path), AT_FDCWD, path, path)
WRAP(int, chmod, (const char *path, mode_t mode), AT_FDCWD, path, path, mode)
