/* config_print: the table of keys for people: help of `gantry serve`, docs/configuration.md, and the values in effect. */
#include "config.h"

#include "gateway/gateway.h"

#include <strings.h>

/* ---- help ---------------------------------------------------------------------------------------------------------------- */

/* Prints text in lines of at most `width` columns, each behind `indent` spaces; the first line is already indented. */
static void print_wrapped(FILE *out, const char *text, int indent, int width) {
    int column = indent;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > indent && column + (int)n + 1 > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)n, text);
        column += (int)n;
        text += n + strspn(text + n, " ");
    }
    fputc('\n', out);
}

void config_print_options(FILE *out, bool later) {
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        if (!k->flag || (k->later != NULL) != later) continue;
        char left[80];
        bool is_bool = k->type == CONFIG_BOOL || k->type == CONFIG_TRISTATE;
        int n = snprintf(left, sizeof left, "  --%s%s%s", k->flag, is_bool ? "" : " ", is_bool ? "" : k->choices);
        fprintf(out, "%-32s%s", left, n > 31 ? "\n                                " : "");
        char help[512];
        bool shown = *k->standard && k->type != CONFIG_BOOL && k->type != CONFIG_TRISTATE;
        bool on = k->type == CONFIG_BOOL && strcmp(k->standard, "true") == 0;
        snprintf(help, sizeof help, "%s%s%s%s%s", k->help, shown ? " [" : "", shown ? k->standard : "",
                 shown ? "]" : "", on ? " [on; --no-… for off]" : "");
        print_wrapped(out, help, 32, 110);
    }
}

/* ---- values in effect ------------------------------------------------------------------------------------------------------ */

static void print_peers(const config *c, gn_buf *out) {
    size_t count;
    const peer *p = config_peers(c, &count);
    gn_buf_puts(out, "{");
    for (size_t i = 0; i < count; i++) {
        gn_json j;
        gn_json_init(&j, out);
        gn_buf_puts(out, i ? ",\n    " : "\n    ");
        gn_json_string(&j, p[i].name);
        gn_buf_puts(out, ": ");
        gn_json_init(&j, out);
        gn_json_open(&j, '{');
        gn_json_key(&j, "AET");
        gn_json_string(&j, p[i].aet);
        gn_json_key(&j, "Host");
        gn_json_string(&j, p[i].host);
        gn_json_key(&j, "Port");
        gn_json_int(&j, p[i].port);
        static const struct {
            const char *key;
            uint32_t bit;
        } rights[] = { { "AllowEcho", GATEWAY_MAY_ECHO }, { "AllowStore", GATEWAY_MAY_STORE },
                       { "AllowFind", GATEWAY_MAY_FIND }, { "AllowGet", GATEWAY_MAY_GET },
                       { "AllowMove", GATEWAY_MAY_MOVE }, { "AllowStorageCommitment", GATEWAY_MAY_COMMIT } };
        for (size_t k = 0; k < GN_ARRAY_LEN(rights); k++) {
            if (p[i].permissions & rights[k].bit) continue;
            gn_json_key(&j, rights[k].key);
            gn_json_bool(&j, false);
        }
        gn_json_close(&j, '}');
    }
    gn_buf_puts(out, count ? "\n  }" : "}");
}

static void print_value(const config *c, config_id id, gn_buf *out) {
    const config_key *k = &config_keys[id];
    gn_json j;
    gn_json_init(&j, out);
    size_t count = 0;
    const char *const *list;
    switch (k->type) {
    case CONFIG_BOOL: gn_json_bool(&j, config_bool(c, id)); break;
    case CONFIG_TRISTATE: gn_json_bool(&j, config_tristate(c, id) > 0); break;
    case CONFIG_INT:
    case CONFIG_SIZE: gn_json_int(&j, config_int(c, id)); break;
    case CONFIG_LIST:
        list = config_list(c, id, &count);
        gn_json_open(&j, '[');
        for (size_t i = 0; i < count; i++) gn_json_string(&j, list[i]);
        gn_json_close(&j, ']');
        break;
    case CONFIG_PEERS: print_peers(c, out); break;
    case CONFIG_SECRET: gn_json_string(&j, *config_text(c, id) ? "(not shown)" : ""); break;
    case CONFIG_OBJECT: gn_buf_puts(out, "{}"); break;
    default: gn_json_string(&j, config_text(c, id));
    }
}

/* The part before the dot of a grouped key; 0: not in a group. */
static size_t group_length(const config_key *k) {
    const char *dot = strchr(k->name, '.');
    return dot ? (size_t)(dot - k->name) : 0;
}

/* Values that the file can say are printed; what is "auto" or not for printing is left out, as leaving it out means the same. */
static bool is_printed(const config *c, int i) {
    config_type t = config_keys[i].type;
    if (t == CONFIG_OBJECT || (t == CONFIG_TRISTATE && config_tristate(c, (config_id)i) < 0)) return false;
    return !config_keys[i].later || config_origin_of(c, (config_id)i) != CONFIG_FROM_DEFAULT;
}

void config_print_json(const config *c, gn_buf *out) {
    const char *group = "";
    size_t length = 0;
    bool first = true;
    gn_buf_puts(out, "{");
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const config_key *k = &config_keys[i];
        if (!is_printed(c, i)) continue;
        size_t n = group_length(k);
        if (length && (n != length || strncmp(group, k->name, n) != 0)) {
            gn_buf_puts(out, "\n  }");
            length = 0;
        }
        gn_buf_puts(out, first ? "\n" : ",\n");
        first = false;
        if (n && !length) {
            gn_buf_printf(out, "  \"%.*s\": {\n", (int)n, k->name);
            group = k->name;
            length = n;
        }
        gn_buf_printf(out, "  %s\"%s\": ", n ? "  " : "", k->name + (n ? n + 1 : 0));
        print_value(c, (config_id)i, out);
        config_origin o = config_origin_of(c, (config_id)i);
        if (o != CONFIG_FROM_DEFAULT) gn_buf_printf(out, " /* %s */", config_origin_text(o));
    }
    gn_buf_puts(out, length ? "\n  }\n}\n" : "\n}\n");
}

/* ---- docs/configuration.md ---------------------------------------------------------------------------------------------------- */

static const char intro[] =
    "# Configuration\n"
    "\n"
    "This page is printed by `gantry config --markdown` from the same table that reads the configuration; a test keeps "
    "it\n"
    "up to date.\n"
    "\n"
    "Gantry needs no configuration: `gantry serve` keeps everything under `./data` and listens on this machine only. A "
    "value\n"
    "comes from, in this order: a **flag**, an **environment variable**, the **file** given by `--config` (or "
    "`GANTRY_CONFIG`), the\n"
    "**default**. `gantry config --config FILE` checks a file and prints what is in effect, and where each value came "
    "from.\n"
    "\n"
    "The file is JSON; `//` and `/* */` comments and trailing commas are allowed. Keys have the names that Orthanc "
    "gives them where\n"
    "Orthanc has them, so that an Orthanc file starts Gantry; what has no meaning here is named at the start. An "
    "unknown key is a\n"
    "warning, a value of the wrong type or out of range is an error that names file, line and key.\n"
    "\n"
    "```json\n"
    "{\n"
    "  // Listen for the scanners of the department, and for nobody else.\n"
    "  \"DicomAet\": \"GANTRY\",\n"
    "  \"StorageDirectory\": \"/var/lib/gantry\",\n"
    "  \"RemoteAccessAllowed\": true,\n"
    "  \"DicomModalities\": {\n"
    "    \"ct1\": [ \"CT1\", \"10.0.0.21\", 104 ],\n"
    "    \"viewer\": { \"AET\": \"VIEWER\", \"Host\": \"10.0.0.40\", \"Port\": 11112, \"AllowStore\": false },\n"
    "  },\n"
    "}\n"
    "```\n"
    "\n"
    "Sizes are bytes, or a text with `K`, `M`, `G` or `T` (powers of 1024). A flag of a true/false key stands alone "
    "(`--read-only`),\n"
    "or as `--no-read-only` or `--read-only=false`.\n"
    "\n"
    "## Who may do what\n"
    "\n"
    "Without `RemoteAccessAllowed` (or a `DicomAddress` of this machine's network) only programs on this machine can "
    "reach Gantry, and they\n"
    "may do everything. With it, other machines can, and then:\n"
    "\n"
    "- A peer of `DicomModalities` may do all that its `Allow…` keys (`AllowEcho`, `AllowStore`, `AllowFind`, "
    "`AllowGet`, `AllowMove`,\n"
    "  `AllowStorageCommitment`) do not take away, when it calls **from its own address**. An AE title alone grants "
    "nothing, because\n"
    "  anybody can claim it. `DicomCheckModalityHost: false` gives that up.\n"
    "- Everybody else is rejected. When no peer is known yet, everybody may C-ECHO, to test the way, and nothing "
    "more.\n"
    "- `DicomAlwaysAllowStore`, `…Find`, `…Get`, `…Move` and `…Echo` set to true give that right to every caller; each "
    "is\n"
    "  warned about at the start. They also take a right away on this machine when set to false.\n"
    "\n"
    "DICOM over TLS does not exist yet: the images cross the network in the clear. Use a network you trust, or a "
    "tunnel.\n"
    "`DicomTlsEnabled: true` refuses to start rather than to serve plain DICOM.\n"
    "\n"
    "`SIGHUP` reads file and environment again and replaces the list of peers; other keys need a restart. A peer given "
    "by\n"
    "`--peer` stays, and wins over one of the same name in the file.\n";

static void print_row(gn_buf *out, const config_key *k) {
    char expected[160];
    config_expected(k, expected, sizeof expected);
    gn_buf_printf(out, "\n### %s\n\n%s\n\n- ", k->name, k->help);
    for (const char *p = expected; *p; p++) gn_buf_putc(out, *p);
    if (*k->standard) gn_buf_printf(out, "; default `%s`", k->standard);
    gn_buf_puts(out, "\n");
    if (k->flag) gn_buf_printf(out, "- `--%s`, `%s`\n", k->flag, k->environment);
    else if (k->environment) gn_buf_printf(out, "- `%s`\n", k->environment);
    if (k->later) gn_buf_printf(out, "- Accepted, without effect: %s.\n", k->later);
}

static void print_section(gn_buf *out, const char *title, int first, int last) {
    gn_buf_printf(out, "\n## %s\n", title);
    for (int i = first; i < last; i++) print_row(out, &config_keys[i]);
}

void config_print_markdown(gn_buf *out) {
    gn_buf_puts(out, intro);
    print_section(out, "The service", 0, CONFIG_DicomServerEnabled);
    print_section(out, "DICOM", CONFIG_DicomServerEnabled, CONFIG_MaximumPduLength);
    print_section(out, "Limits and habits", CONFIG_MaximumPduLength, CONFIG_Duplicates);
    print_section(out, "The archive", CONFIG_Duplicates, CONFIG_HttpServerEnabled);
    print_section(out, "HTTP", CONFIG_HttpServerEnabled, CONFIG_DicomTlsEnabled);
    print_section(out, "Not built yet", CONFIG_DicomTlsEnabled, CONFIG_COUNT);
}
