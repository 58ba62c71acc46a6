/* openapi: the OpenAPI 3.1 description, written from the route tables, so that it cannot name what is not there or forget what is. */
#include "internal.h"

static void raw(gn_json *j, const char *text) { gn_json_raw(j, text, strlen(text)); }
static const char *const method_key[HTTP_METHODS] = { "get", "post", "put", "patch", "delete" };

/* "{*}" has no word in OpenAPI: it is described as {rest}. */
static void write_path(gn_buf *out, const char *pattern) {
    for (const char *p = pattern; *p; p++) {
        if (strncmp(p, "{*}", 3) == 0) {
            gn_buf_puts(out, "{rest}");
            p += 2;
        } else {
            gn_buf_putc(out, *p);
        }
    }
}

static void parameters(gn_json *j, const char *path) {
    gn_json_key(j, "parameters");
    gn_json_open(j, '[');
    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
        gn_json_open(j, '{');
        gn_json_key(j, "name"), gn_json_string_n(j, p + 1, strcspn(p + 1, "}"));
        gn_json_key(j, "in"), gn_json_string(j, "path");
        gn_json_key(j, "required"), gn_json_bool(j, true);
        gn_json_key(j, "schema"), raw(j, "{\"type\":\"string\"}");
        gn_json_close(j, '}');
    }
    gn_json_close(j, ']');
}

static void responses(gn_json *j, const http_route *o) {
    static const char problem[] = "{\"description\":\"problem document\",\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}";
    gn_json_key(j, "responses");
    gn_json_open(j, '{');
    gn_json_key(j, "2XX"), raw(j, "{\"description\":\"done\"}");
    gn_json_key(j, "4XX"), raw(j, problem);
    gn_json_key(j, "5XX"), raw(j, problem);
    gn_json_close(j, '}');
    if (o->needs == SECURITY_NOTHING) gn_json_key(j, "security"), raw(j, "[{}]");
    else gn_json_key(j, "x-permission"), gn_json_string(j, security_permission_text(o->needs));
}

static void operation(gn_json *j, const http_route *o, const char *path) {
    gn_json_key(j, method_key[o->method]);
    gn_json_open(j, '{');
    gn_json_key(j, "summary"), gn_json_string(j, o->summary ? o->summary : path);
    parameters(j, path);
    if (o->body == HTTP_BODY_DOCUMENT) gn_json_key(j, "requestBody"), raw(j, "{\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\"}}}}");
    responses(j, o);
    gn_json_close(j, '}');
}

static bool said_before(const http_route *const *tables, const http_route *me) {
    for (size_t t = 0; tables[t]; t++)
        for (const http_route *o = tables[t]; o->pattern; o++) {
            if (o == me) return false;
            if (strcmp(o->pattern, me->pattern) == 0) return true;
        }
    return false;
}

static void path_item(gn_json *j, const http_route *first) {
    gn_buf path = GN_BUF_INIT;
    write_path(&path, first->pattern);
    gn_json_key(j, (const char *)path.p);
    gn_json_open(j, '{');
    for (size_t t = 0; http_all_routes[t]; t++)
        for (const http_route *o = http_all_routes[t]; o->pattern; o++)
            if (strcmp(o->pattern, first->pattern) == 0) operation(j, o, (const char *)path.p);
    gn_json_close(j, '}');
    gn_buf_done(&path);
}

void openapi_handle(http_request *r) {
    static const char problem[] = "{\"schemas\":{\"Problem\":{\"type\":\"object\",\"required\":[\"title\",\"status\"],\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},\"where\":{\"type\":\"string\"},\"field\":{\"type\":\"string\"},\"instance\":{\"type\":\"string\"}}}},"
        "\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"gantry_session\"}}}";
    gn_buf b = GN_BUF_INIT;
    gn_json j;
    gn_json_init(&j, &b);
    gn_json_open(&j, '{');
    gn_json_key(&j, "openapi"), gn_json_string(&j, "3.1.0");
    gn_json_key(&j, "info"), raw(&j, "{\"title\":\"Gantry\",\"version\":\"1\",\"license\":{\"name\":\"Apache-2.0\"}}");
    gn_json_key(&j, "security"), raw(&j, "[{\"bearer\":[]},{\"basic\":[]},{\"session\":[]}]");
    gn_json_key(&j, "paths");
    gn_json_open(&j, '{');
    for (size_t t = 0; http_all_routes[t]; t++)
        for (const http_route *o = http_all_routes[t]; o->pattern; o++)
            if (!said_before(http_all_routes, o)) path_item(&j, o);
    gn_json_close(&j, '}');
    gn_json_key(&j, "components"), raw(&j, problem);
    gn_json_close(&j, '}');
    http_send(r, 200, "application/json", &b);
}
