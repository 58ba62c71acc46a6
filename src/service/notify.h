/* notify: tells a service manager how the service is (the protocol of sd_notify, without its library). */
#ifndef GANTRY_SERVICE_NOTIFY_H
#define GANTRY_SERVICE_NOTIFY_H

#include <stdint.h>

/* Sends "READY=1\nSTATUS=…" to $NOTIFY_SOCKET; does nothing without one. 0 sent or not wanted, -1 failed. */
int notify_send(const char *state);
/* Half of what the manager's watchdog allows, in milliseconds; 0: there is none. */
uint32_t notify_watchdog_ms(void);

#endif
