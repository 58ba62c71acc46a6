/* cli: reads command lines by a table of options, and helps subcommands to speak with one voice.
 *
 * There are no positions to remember: options may stand before and behind operands, a mistyped one is answered with the nearest. */
#include "cli.h"

#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- options ------------------------------------------------------------------------------------------------------------- */

void cli_init(cli *c, const char *command, int argc, char **argv, const cli_option *options, size_t count) {
    *c = (cli){ .argc = argc, .argv = argv, .command = command, .options = options, .count = count, .next = 1 };
}

static int unknown(const cli *c, const char *dashes, const char *name, size_t n) {
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(n < 63 ? n : 63), name);
    const char *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->options[i].name) suggest_consider(word, c->options[i].name, &best, &distance);
    if (best) cli_complain(c->command, "there is no option %s%s; did you mean --%s?", dashes, word, best);
    else cli_complain(c->command, "there is no option %s%s; try: gantry %s --help", dashes, word, c->command);
    return CLI_ERROR;
}

static int take_value(cli *c, int i, const char *joined) {
    const cli_option *o = &c->options[i];
    c->value = joined;
    if (o->value && !joined) {
        if (c->next >= c->argc) {
            cli_complain(c->command, "--%s needs a value: --%s %s", o->name, o->name, o->value);
            return CLI_ERROR;
        }
        c->value = c->argv[c->next++];
    } else if (!o->value && joined) {
        cli_complain(c->command, "--%s takes no value", o->name);
        return CLI_ERROR;
    }
    return i;
}

static int long_option(cli *c, const char *name) {
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    if (n == 4 && memcmp(name, "help", 4) == 0) return CLI_HELP;
    for (size_t i = 0; i < c->count; i++) {
        const char *known = c->options[i].name;
        if (known && strlen(known) == n && memcmp(known, name, n) == 0)
            return take_value(c, (int)i, equals ? equals + 1 : NULL);
    }
    return unknown(c, "--", name, n);
}

static int letter_option(cli *c) {
    char letter = *c->letters++;
    const char *rest = c->letters;
    if (!*rest) c->letters = NULL;
    if (letter == 'h') return CLI_HELP;
    for (size_t i = 0; i < c->count; i++) {
        if (c->options[i].letter != letter) continue;
        if (!c->options[i].value) {
            c->value = NULL;
            return (int)i;
        }
        c->letters = NULL;
        return take_value(c, (int)i, *rest ? rest : NULL);
    }
    return unknown(c, "-", &letter, 1);
}

int cli_next(cli *c) {
    if (c->letters) return letter_option(c);
    if (c->next >= c->argc) return CLI_END;
    char *arg = c->argv[c->next++];
    if (c->only_operands || arg[0] != '-' || !arg[1]) {
        c->value = arg;
        return CLI_OPERAND;
    }
    if (arg[1] != '-') {
        c->letters = arg + 1;
        return letter_option(c);
    }
    if (arg[2]) return long_option(c, arg + 2);
    c->only_operands = true;
    return cli_next(c);
}

void cli_print_options(FILE *out, const cli_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cli_option *o = &options[i];
        char left[80];
        char letter[8] = "    ";
        if (o->letter) snprintf(letter, sizeof letter, "-%c%s ", o->letter, o->name ? "," : " ");
        snprintf(left, sizeof left, "  %s%s%s%s%s", letter, o->name ? "--" : "", o->name ? o->name : "",
                 o->value ? " " : "", o->value ? o->value : "");
        fprintf(out, "%-34s%s%s\n", left, strlen(left) > 33 ? "\n                                  " : "", o->help);
    }
}

bool cli_number(const cli *c, const char *option, int64_t low, int64_t high, int64_t *value) {
    char *end;
    errno = 0;
    long long n = strtoll(c->value, &end, 10);
    if (*c->value && !*end && !errno && n >= low && n <= high) {
        *value = n;
        return true;
    }
    cli_complain(c->command, "--%s is a number from %lld to %lld, not \"%s\"", option, (long long)low, (long long)high,
                 c->value);
    return false;
}

/* ---- messages -------------------------------------------------------------------------------------------------------------- */

void cli_complain(const char *command, const char *format, ...) {
    char text[1024], clean[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "gantry %s: %s\n", command, cli_clean(text, clean, sizeof clean));
}

const char *cli_error_text(const gn_error *e, char *buf, size_t size) {
    if (e->code != GN_E_CONFIG || !e->where[0]) return gn_error_text(e, buf, size);
    snprintf(buf, size, "%s: %s", e->where, e->message); /* FILE:LINE first, as compilers do */
    return buf;
}

void cli_error(const char *command, const gn_error *e) {
    char text[400];
    cli_complain(command, "%s", cli_error_text(e, text, sizeof text));
}

char *cli_clean(const char *text, char *buf, size_t size) {
    size_t n = 0;
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text);
    while (left && size) {
        uint32_t u;
        size_t used = gn_utf8_decode(p, left, &u);
        if (n + used + 1 > size) break;
        bool unsafe = u < 0x20 || (u >= 0x7F && u < 0xA0) || (u >= 0x200B && u <= 0x200F) ||
                      (u >= 0x2028 && u <= 0x202E) || (u >= 0x2066 && u <= 0x2069) || (u == 0xFFFD && used == 1);
        if (unsafe) buf[n++] = u == 0xFFFD ? '?' : ' ';
        else {
            memcpy(buf + n, p, used);
            n += used;
        }
        p += used;
        left -= used;
    }
    if (size) buf[n] = '\0';
    return buf;
}

void cli_flush(gn_buf *out) {
    if (out->n) (void)fwrite(out->p, 1, out->n, stdout);
    gn_buf_clear(out);
}

/* ---- configuration ------------------------------------------------------------------------------------------------------------ */

config *cli_load_config(const char *file, gn_error *e) {
    config *c = config_new(e);
    if (!file) file = getenv("GANTRY_CONFIG");
    if (c && file && *file && config_load_file(c, file, e)) config_free(&c);
    if (c && config_load_environment(c, getenv, e)) config_free(&c);
    return c;
}

config *cli_config(const char *command, const char *file) {
    gn_error e = GN_ERROR_INIT;
    config *c = cli_load_config(file, &e);
    if (!c) cli_error(command, &e);
    return c;
}

bool cli_peer(const char *command, const config *c, const char *text, peer *out) {
    gn_error e = GN_ERROR_INIT;
    if (strchr(text, '@')) {
        if (!peer_parse(text, out, &e)) return true;
        cli_complain(command, "peer \"%s\": %s", text, e.message);
        return false;
    }
    const peer *p = config_peer(c, text);
    if (p) {
        *out = *p;
        return true;
    }
    size_t count;
    const peer *all = config_peers(c, &count);
    const char *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; i < count; i++) suggest_consider(text, all[i].name, &best, &distance);
    if (best) cli_complain(command, "no peer is called \"%s\"; did you mean \"%s\"?", text, best);
    else if (count)
        cli_complain(command, "no peer of %s is called \"%s\"; or write AET@HOST:PORT",
                     config_file(c) ? config_file(c) : "GANTRY_PEERS", text);
    else
        cli_complain(command,
                     "\"%s\" is no peer: write AET@HOST:PORT, or name the file with DicomModalities: --config FILE",
                     text);
    return false;
}
