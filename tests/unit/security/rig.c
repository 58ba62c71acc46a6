/* rig: see rig.h. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic int64_t later_s;
static int64_t wall(void) { return gn_wall_us() + later_s * 1000000; }
static uint64_t mono(void) { return gn_mono_ns() + (uint64_t)later_s * 1000000000u; }
void rig_later(int64_t seconds) { later_s += seconds; }
int64_t rig_now_us(void) { return wall(); }

bool rig_open(rig *r) {
    gn_error_clear(&r->e);
    r->config.directory = r->directory;
    if (security_open(&r->config, r->archive, &r->s, &r->e)) return false;
    security_set_clock(r->s, wall, mono);
    return true;
}

bool rig_init(rig *r) {
    char base[400];
    *r = (rig){ .e = GN_ERROR_INIT, .config = { .argon2_ops = 1, .argon2_memory = 8192, .no_audit_sync = true } };
    later_s = 0;
    (void)snprintf(r->directory, sizeof r->directory, "%s/archive", check_temp_dir(base, sizeof base));
    archive_config c = { .directory = r->directory, .reserve_bytes = 1 };
    r->archive = archive_open(&c, &r->e);
    return r->archive && rig_open(r);
}

void rig_close(rig *r) {
    security_close(&r->s);
    archive_close(&r->archive);
}

int rig_user(rig *r, const char *name, security_role role, char id[ID_SIZE]) {
    security_user u = { 0 };
    gn_error_clear(&r->e);
    int rc = security_user_add(r->s, name, NULL, role, PASSWORD, &u, &r->e);
    if (id) memcpy(id, u.id, ID_SIZE);
    return rc;
}

int rig_sign_in(rig *r, const char *name, const char *password, char token[64], security_principal *who) {
    gn_error_clear(&r->e);
    return security_sign_in(r->s, name, password, "192.0.2.7", token, 64, who, &r->e);
}

bool rig_load(const char *path, gn_buf *out) { return gn_file_load(path, 256 << 20, out, NULL) == 0; }

bool rig_save(const char *path, const void *p, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && gn_write_all(fd, p, n, NULL) == 0;
    if (fd >= 0) (void)close(fd);
    return ok;
}

static bool folder_holds(const char *folder, const char *text) {
    DIR *d = opendir(folder);
    bool found = false;
    for (struct dirent *entry; d && !found && (entry = readdir(d));) {
        char path[1100];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || stat(path, &st)) continue;
        if (S_ISDIR(st.st_mode)) {
            found = folder_holds(path, text);
            continue;
        }
        gn_buf b = GN_BUF_INIT;
        if (rig_load(path, &b) && b.n) found = memmem(b.p, b.n, text, strlen(text)) != NULL;
        gn_buf_done(&b);
    }
    if (d) (void)closedir(d);
    return found;
}

bool rig_files_hold(const rig *r, const char *text) { return folder_holds(r->directory, text); }

char *rig_audit_file(const char *directory, size_t nth, char path[700]) {
    char folder[600];
    unsigned *months = NULL;
    size_t n = 0;
    path[0] = '\0';
    (void)snprintf(folder, sizeof folder, "%s/audit", directory);
    if (audit_files_list(folder, &months, &n, NULL) == 0 && nth < n) audit_file_path(folder, months[nth], path, 700);
    free(months);
    return path;
}
