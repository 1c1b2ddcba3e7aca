/* Preloaded: the process crashes when it opens a file for writing whose name contains $CRASH_AT, and takes one byte off
   the file $CRASHES_LEFT for every crash; it is harmless once that file is empty. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void crash_where_asked(const char* path) {
  const char* where = getenv("CRASH_AT");
  const char* left = getenv("CRASHES_LEFT");
  struct stat facts;
  if (where == NULL || left == NULL || strstr(path, where) == NULL) return;
  if (stat(left, &facts) != 0 || facts.st_size == 0) return;
  if (truncate(left, facts.st_size - 1) == 0) abort();
}

#define PRELOADED_OPEN(name)                                                          \
  int name(const char* path, int flags, ...) {                                        \
    va_list rest;                                                                     \
    va_start(rest, flags);                                                            \
    const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;                 \
    va_end(rest);                                                                     \
    if (flags & O_CREAT) crash_where_asked(path);                                     \
    int (*next)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, #name); \
    return next(path, flags, mode);                                                   \
  }

PRELOADED_OPEN(open)
PRELOADED_OPEN(open64)
