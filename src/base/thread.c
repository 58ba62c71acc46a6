/* thread: named threads with small stacks. */
#include "base/base.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#define DEFAULT_STACK ((size_t)256 * 1024)

/* The sanitizers' frames are several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 8
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_FACTOR 8
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

typedef struct start {
    void (*run)(void *);
    void *arg;
    char name[16];
} start;

static void *enter(void *p) {
    start s = *(start *)p;
    free(p);
    (void)pthread_setname_np(pthread_self(), s.name);
    s.run(s.arg);
    return NULL;
}

static int create(pthread_t *thread, int detach_state, const char *name, size_t stack, void (*run)(void *), void *arg,
                  gn_error *e) {
    start *s = malloc(sizeof *s);
    if (!s) return gn_fail(e, GN_E_NO_MEMORY, "cannot start thread %s: out of memory", name);
    s->run = run;
    s->arg = arg;
    (void)snprintf(s->name, sizeof s->name, "%s", name);

    if (stack == 0) stack = DEFAULT_STACK;
    if (stack < (size_t)PTHREAD_STACK_MIN) stack = (size_t)PTHREAD_STACK_MIN;
    stack = (stack + 4095) / 4096 * 4096;
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc == 0) {
        rc = pthread_attr_setdetachstate(&attr, detach_state);
        if (rc == 0) rc = pthread_attr_setstacksize(&attr, stack * STACK_FACTOR);
        if (rc == 0) rc = pthread_create(thread, &attr, enter, s);
        (void)pthread_attr_destroy(&attr);
    }
    if (rc == 0) return GN_OK;
    free(s);
    if (rc == EAGAIN) return gn_fail(e, GN_E_BUSY, "cannot start thread %s: too many threads or too little memory", name);
    return gn_fail_errno(e, rc, "cannot start thread %s", name);
}

int gn_thread_start(const char *name, size_t stack, void (*run)(void *), void *arg, gn_error *e) {
    pthread_t thread;
    return create(&thread, PTHREAD_CREATE_DETACHED, name, stack, run, arg, e);
}

int gn_thread_spawn(gn_thread *thread, const char *name, size_t stack, void (*run)(void *), void *arg, gn_error *e) {
    pthread_t t;
    int rc = create(&t, PTHREAD_CREATE_JOINABLE, name, stack, run, arg, e);
    if (rc != GN_OK) return rc;
    *thread = (gn_thread){ t, true };
    return GN_OK;
}

void gn_thread_join(gn_thread *thread) {
    if (!thread->running) return;
    (void)pthread_join(thread->handle, NULL);
    thread->running = false;
}
