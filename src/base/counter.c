/* counter: the list of the process's counters, in the order in which they were registered. Nothing is ever taken out, so
 * that readers walk it without a lock. */
#include "base/base.h"

#include <pthread.h>

static gn_counter *_Atomic first;
static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER; /* guards the end of the list */

void gn_counter_register(gn_counter *c) {
    (void)pthread_mutex_lock(&registering);
    gn_counter *_Atomic *link = &first;
    gn_counter *at;
    while ((at = atomic_load(link)) != NULL && at != c) link = &at->next;
    if (!at) atomic_store(link, c);
    (void)pthread_mutex_unlock(&registering);
}

gn_counter *gn_counter_first(void) { return atomic_load(&first); }
