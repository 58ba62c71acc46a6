/* notify: writes state lines to the datagram socket that a service manager names in $NOTIFY_SOCKET.
 *
 * The path may begin with @, for Linux's abstract names. A manager that is gone or slow never delays the service. */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@')) return 0;
    size_t n = strlen(path);
    if (n < 2 || n >= sizeof to.sun_path) return -1;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, length);
    close(fd);
    return sent < 0 ? -1 : 0;
}

uint32_t notify_watchdog_ms(void) {
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid())) return 0;
    unsigned long long v = strtoull(us, NULL, 10);
    return v < 2000 || v > 86400000000ull ? 0 : (uint32_t)(v / 2000);
}
