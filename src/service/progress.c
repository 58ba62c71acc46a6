/* progress: paints "import [#####.....] 412/1000  41%  88.1 MB/s  0:12 left" over itself on a terminal.
 *
 * The rate and the time left come from bytes where their total is known, else from counts. progress_format is pure, for tests. */
#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define PAINT_EVERY_NS 100000000u

char *progress_bytes(double bytes, char *buf) {
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    size_t u = 0;
    if (!(bytes >= 0)) bytes = 0;
    while (bytes >= 999.5 && u + 1 < GN_ARRAY_LEN(units)) {
        bytes /= 1000;
        u++;
    }
    snprintf(buf, 24, "%.*f %s", u == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2, bytes, units[u]);
    return buf;
}

char *progress_time(double seconds, char *buf) {
    if (!(seconds >= 0)) seconds = 0;
    if (seconds > 359999) seconds = 359999;
    unsigned s = (unsigned)(seconds + 0.5);
    if (seconds < 9.95) snprintf(buf, 24, "%.1f s", seconds);
    else if (s < 60) snprintf(buf, 24, "%u s", s);
    else if (s < 3600) snprintf(buf, 24, "%u:%02u", s / 60, s % 60);
    else snprintf(buf, 24, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    return buf;
}

/* The part that is done, 0..1; -1: not known. */
static double share(const progress_state *s) {
    double f = -1;
    if (s->total_bytes) f = (double)s->bytes / (double)s->total_bytes;
    else if (s->total) f = (double)s->done / (double)s->total;
    return f > 1 ? 1 : f;
}

static void put_bar(gn_buf *b, double f, unsigned width) {
    unsigned full = (unsigned)(f * width);
    gn_buf_puts(b, " [");
    for (unsigned i = 0; i < width; i++) gn_buf_putc(b, i < full ? '#' : '.');
    gn_buf_puts(b, "]");
}

char *progress_format(char *buf, size_t size, unsigned columns, const progress_state *s) {
    gn_buf text = GN_BUF_INIT;
    char word[24];
    double f = share(s);
    gn_buf_printf(&text, " %llu", (unsigned long long)s->done);
    if (s->total) gn_buf_printf(&text, "/%llu", (unsigned long long)s->total);
    if (f >= 0) gn_buf_printf(&text, " %3.0f%%", f * 100);
    if (s->bytes && s->seconds > 0) gn_buf_printf(&text, "  %s/s", progress_bytes((double)s->bytes / s->seconds, word));
    else if (s->seconds > 0) gn_buf_printf(&text, "  %.0f/s", (double)s->done / s->seconds);
    if (f > 0 && f < 1 && s->seconds >= 1)
        gn_buf_printf(&text, "  %s left", progress_time(s->seconds * (1 - f) / f, word));
    else if (s->seconds >= 1) gn_buf_printf(&text, "  %s", progress_time(s->seconds, word));
    if (s->problems)
        gn_buf_printf(&text, "  %llu problem%s", (unsigned long long)s->problems, s->problems == 1 ? "" : "s");
    gn_buf line = GN_BUF_INIT;
    gn_buf_puts(&line, s->label);
    size_t used = line.n + text.n + 3;
    if (f >= 0 && columns > used + 10) put_bar(&line, f, columns - (unsigned)used > 30 ? 30 : columns - (unsigned)used);
    if (text.n) gn_buf_append(&line, text.p, text.n);
    snprintf(buf, size, "%.*s", (int)columns, line.failed || !line.p ? "" : (const char *)line.p);
    gn_buf_done(&line);
    gn_buf_done(&text);
    return buf;
}

/* ---- painting ------------------------------------------------------------------------------------------------------------ */

static unsigned terminal_columns(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1u : 79;
}

static double elapsed(const progress *p) { return (double)(gn_mono_ns() - p->started_ns) / 1e9; }

static void paint(progress *p) {
    char line[256];
    unsigned columns = terminal_columns();
    progress_state s = { p->label,
                         atomic_load(&p->done),
                         atomic_load(&p->total),
                         atomic_load(&p->bytes),
                         atomic_load(&p->total_bytes),
                         atomic_load(&p->problems),
                         elapsed(p) };
    progress_format(line, sizeof line, columns < sizeof line ? columns : (unsigned)sizeof line - 1, &s);
    fprintf(stderr, "\r%s\033[K", line);
    (void)fflush(stderr);
}

void progress_begin(progress *p, const char *label, uint64_t total, uint64_t total_bytes) {
    p->label = label;
    p->shown = isatty(STDERR_FILENO) == 1;
    p->started_ns = gn_mono_ns();
    atomic_store(&p->total, total);
    atomic_store(&p->total_bytes, total_bytes);
    atomic_store(&p->done, 0);
    atomic_store(&p->bytes, 0);
    atomic_store(&p->problems, 0);
    atomic_store(&p->next_ns, p->started_ns + PAINT_EVERY_NS);
    (void)pthread_mutex_init(&p->painting, NULL);
}

void progress_grow(progress *p, uint64_t total, uint64_t total_bytes) {
    atomic_fetch_add(&p->total, total);
    atomic_fetch_add(&p->total_bytes, total_bytes);
}

void progress_add(progress *p, uint64_t done, uint64_t bytes, uint64_t problems) {
    atomic_fetch_add(&p->done, done);
    atomic_fetch_add(&p->bytes, bytes);
    atomic_fetch_add(&p->problems, problems);
    uint64_t now;
    if (!p->shown || (now = gn_mono_ns()) < atomic_load(&p->next_ns) || pthread_mutex_trylock(&p->painting)) return;
    atomic_store(&p->next_ns, now + PAINT_EVERY_NS);
    paint(p);
    (void)pthread_mutex_unlock(&p->painting);
}

void progress_say(progress *p, const char *line) {
    (void)pthread_mutex_lock(&p->painting);
    fprintf(stderr, "%s%s%s\n", p->shown ? "\r" : "", line, p->shown ? "\033[K" : "");
    if (p->shown) paint(p);
    (void)pthread_mutex_unlock(&p->painting);
}

double progress_end(progress *p) {
    double seconds = elapsed(p);
    if (p->shown) {
        paint(p);
        fputc('\n', stderr);
    }
    (void)pthread_mutex_destroy(&p->painting);
    return seconds;
}
