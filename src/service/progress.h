/* progress: how far long work has come, as one line that is painted over on a terminal; nothing where stderr is none.
 *
 * Any number of threads may call progress_add; one at a time paints, at most ten times a second. */
#ifndef GANTRY_SERVICE_PROGRESS_H
#define GANTRY_SERVICE_PROGRESS_H

#include "base/base.h"

#include <pthread.h>

typedef struct progress {
    const char *label;
    bool shown;
    uint64_t started_ns;
    _Atomic uint64_t total, total_bytes; /* 0: not known */
    _Atomic uint64_t done, bytes, problems;
    _Atomic uint64_t next_ns;            /* when to paint again */
    pthread_mutex_t painting;            /* guards the terminal line */
} progress;

void progress_begin(progress *p, const char *label, uint64_t total, uint64_t total_bytes);
void progress_add(progress *p, uint64_t done, uint64_t bytes, uint64_t problems);
void progress_grow(progress *p, uint64_t total, uint64_t total_bytes); /* more work was found */
/* A line for the user amid the progress: the bar moves below it. */
void progress_say(progress *p, const char *line);
/* Paints a last time and ends the line. Seconds since the begin. */
double progress_end(progress *p);

/* The line itself, at most `columns` wide, without control characters. Returns buf. */
typedef struct progress_state { const char *label; uint64_t done, total, bytes, total_bytes, problems; double seconds; } progress_state;
char *progress_format(char *buf, size_t size, unsigned columns, const progress_state *s);
/* "412 B", "1.50 MB": powers of 1000, three digits. "0.8 s", "42 s", "1:05", "2:03:00". buf of at least 24 bytes; return buf. */
char *progress_bytes(double bytes, char *buf);
char *progress_time(double seconds, char *buf);

#endif
