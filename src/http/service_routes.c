/* service_routes: what is said about the service itself: health, readiness, metrics, the description of the API. */
#include "internal.h"

static void health(http_request *r) { http_send_text(r, 200, "application/json", "{\"status\":\"ok\"}"); }

/* Ready: takes objects and is not about to stop. */
static void ready(http_request *r) {
    gn_error e = GN_ERROR_INIT;
    if (atomic_load(&r->exchange->service->draining)) return http_problem_text(r, 503, "Not ready", "the service is stopping");
    if (archive_writable(r->ctx->archive, &e)) return http_problem(r, 503, &e, NULL);
    http_send_text(r, 200, "application/json", "{\"status\":\"ready\"}");
}

/* Prometheus' text format. */
static void metric(gn_buf *b, const char *name, const char *help, bool total, int64_t value) {
    gn_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, total ? "counter" : "gauge", name, (long long)value);
}

static void metrics(http_request *r) {
    gn_buf b = GN_BUF_INIT;
    archive_stats s = { 0 };
    for (gn_counter *c = gn_counter_first(); c; c = atomic_load(&c->next)) {
        size_t n = strlen(c->name);
        metric(&b, c->name, c->help, n > 6 && strcmp(c->name + n - 6, "_total") == 0, atomic_load(&c->value));
    }
    if (archive_get_stats(r->ctx->archive, &s, NULL) == 0) {
        metric(&b, "gantry_archive_patients", "Patients", false, s.patients);
        metric(&b, "gantry_archive_studies", "Studies", false, s.studies);
        metric(&b, "gantry_archive_series", "Series", false, s.series);
        metric(&b, "gantry_archive_instances", "Instances", false, s.instances);
        metric(&b, "gantry_archive_bytes", "Bytes of the stored objects", false, s.bytes);
        metric(&b, "gantry_archive_disk_bytes", "Bytes on disk", false, s.disk_bytes);
        metric(&b, "gantry_archive_free_bytes", "Free bytes on the disk", false, s.free_bytes);
        metric(&b, "gantry_archive_quarantined", "Objects in quarantine", false, s.quarantined);
        metric(&b, "gantry_archive_jobs_open", "Jobs waiting or running", false, s.jobs_open);
    }
    http_send(r, 200, "text/plain; version=0.0.4", &b);
}

const http_route service_routes[] = {
    { HTTP_GET, "/healthz", SECURITY_NOTHING, false, HTTP_BODY_NONE, health, NULL, NULL, NULL, "Is the process alive" },
    { HTTP_GET, "/readyz", SECURITY_NOTHING, false, HTTP_BODY_NONE, ready, NULL, NULL, NULL, "Can it take objects" },
    { HTTP_GET, "/metrics", SECURITY_METRICS_READ, false, HTTP_BODY_NONE, metrics, NULL, NULL, NULL, "Counters for Prometheus" },
    { HTTP_GET, "/api/v1/openapi.json", SECURITY_NOTHING, false, HTTP_BODY_NONE, openapi_handle, NULL, NULL, NULL, "This description" },
    { 0 },
};
