/* SPDX-License-Identifier: Apache-2.0
 * Command lines from one option table: parsing. */
#include "tools/cli_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64 /* longer words are cut when distances are measured */

static int lower(int ch)
{
    return ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch;
}

static int same_word(const char *a, const char *b, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        if (lower((unsigned char)a[i]) != lower((unsigned char)b[i])) return 0;
    }
    return 1;
}

cli_result cli__fail(cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->error, sizeof c->error, fmt, ap);
    va_end(ap);
    return CLI_ERROR;
}

const char *cli_printable(const char *text, char *out, size_t cap)
{
    size_t i;
    for (i = 0; text[i] && i + 1 < cap; i++) {
        unsigned char ch = (unsigned char)text[i];
        out[i] = ch < 0x20 || ch == 0x7f ? '?' : (char)ch;
    }
    out[i] = '\0';
    if (text[i] && cap > 4) memcpy(out + cap - 4, "...", 4);
    return out;
}

int cli_scan_int(const char *text, int64_t *out)
{
    char *end;
    long long v;

    if (!((text[0] >= '0' && text[0] <= '9') || text[0] == '-' || text[0] == '+')) return -1;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno || *end || end == text) return -1;
    *out = v;
    return 0;
}

int cli_scan_real(const char *text, double *out)
{
    char *end;
    double v;

    if (strspn(text, "0123456789+-.eE") != strlen(text)) return -1; /* strtod() reads more than that */
    v = strtod(text, &end);
    if (*end || end == text || !isfinite(v)) return -1;
    *out = v;
    return 0;
}

int cli_find_word(const char *word, size_t n, const char *words)
{
    int i;
    for (i = 0; *words; i++) {
        size_t len = strcspn(words, " ");
        if (len == n && same_word(word, words, n)) return i;
        words += len + (words[len] == ' ');
    }
    return -1;
}

/* Letters to change, add or take away to get from a to b; half price if a begins b. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
    int row[MAX_WORD + 1];
    size_t i, j;

    if (na > MAX_WORD) na = MAX_WORD;
    if (nb > MAX_WORD) nb = MAX_WORD;
    if (na <= nb && na > 0 && same_word(a, b, na)) return (int)(nb - na + 1) / 2;
    for (j = 0; j <= nb; j++) row[j] = (int)j;
    for (i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (j = 1; j <= nb; j++) {
            int best = diagonal + (lower((unsigned char)a[i - 1]) != lower((unsigned char)b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

void cli_nearest(const char *word, const char *words, char *out, size_t cap)
{
    int best = -1;
    size_t n = strlen(word);

    out[0] = '\0';
    while (*words) {
        size_t len = strcspn(words, " ");
        int d = distance(word, n, words, len);
        if (best < 0 || d < best) {
            best = d;
            snprintf(out, cap, "%.*s", (int)len, words);
        }
        words += len + (words[len] == ' ');
    }
}

int cli__takes(const cli_spec *spec, int verb, int i)
{
    uint32_t verbs = spec->options[i].verbs;
    return verbs == 0 || (verb >= 0 && (verbs >> verb & 1u));
}

int cli__find_option(const cli_spec *spec, int verb, const char *name, size_t n)
{
    int i;
    for (i = 0; i < spec->n_options; i++) {
        const char *known = spec->options[i].name;
        if (cli__takes(spec, verb, i) && strlen(known) == n && memcmp(known, name, n) == 0) return i;
    }
    return -1;
}

char *cli__option_words(const cli_spec *spec, int verb)
{
    size_t n = 1;
    char *words, *p;
    int i;

    for (i = 0; i < spec->n_options; i++) n += strlen(spec->options[i].name) + 1;
    words = malloc(n);
    if (!words) return NULL;
    p = words;
    for (i = 0; i < spec->n_options; i++) {
        size_t len = strlen(spec->options[i].name);
        if (!cli__takes(spec, verb, i)) continue;
        if (p != words) *p++ = ' ';
        memcpy(p, spec->options[i].name, len);
        p += len;
    }
    *p = '\0';
    return words;
}

void cli__env_name(const char *name, char *out, size_t cap)
{
    size_t i;
    snprintf(out, cap, "LFM2_ARG_%s", name);
    for (i = 0; out[i]; i++) {
        if (out[i] == '-') out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z') out[i] = (char)(out[i] - 'a' + 'A');
    }
}

static cli_result set_number(cli *c, int i, const char *text, const char *label, cli_value *v)
{
    const cli_option *o = &c->spec->options[i];
    char shown[48];
    int ok;

    if (o->kind == CLI_INT) {
        ok = cli_scan_int(text, &v->integer) == 0;
        v->real = ok ? (double)v->integer : 0;
    } else {
        ok = cli_scan_real(text, &v->real) == 0;
    }
    if (!ok) {
        return cli__fail(c, "%s: '%s' is not a %s (%.16g to %.16g)", label, cli_printable(text, shown, sizeof shown),
                         o->kind == CLI_INT ? "whole number" : "number", o->lo, o->hi);
    }
    if (v->real < o->lo || v->real > o->hi || ((o->flags & CLI_ABOVE_LO) && v->real <= o->lo)) {
        return cli__fail(c, "%s: %s is out of range (%s%.16g to %.16g)", label, cli_printable(text, shown, sizeof shown),
                         o->flags & CLI_ABOVE_LO ? "above " : "", o->lo, o->hi);
    }
    return CLI_OK;
}

static cli_result set_choice(cli *c, int i, const char *text, const char *label, cli_value *v)
{
    const cli_option *o = &c->spec->options[i];
    char shown[48], near[MAX_WORD];

    v->integer = cli_find_word(text, strlen(text), o->choices);
    if (v->integer >= 0) return CLI_OK;
    cli_nearest(text, o->choices, near, sizeof near);
    cli_printable(text, shown, sizeof shown);
    return cli__fail(c, "%s: '%s' is none of: %s; the nearest is %s", label, shown, o->choices, near);
}

static cli_result set_list(cli *c, int i, const char *text, const char *label, cli_value *v)
{
    const cli_option *o = &c->spec->options[i];
    char word[MAX_WORD], shown[48], near[MAX_WORD];

    v->integer = 0;
    for (;;) {
        const size_t n = strcspn(text, ",");
        const int k = cli_find_word(text, n, o->choices);
        if (k < 0) {
            snprintf(word, sizeof word, "%.*s", (int)(n < MAX_WORD ? n : MAX_WORD - 1), text);
            cli_nearest(word, o->choices, near, sizeof near);
            cli_printable(word, shown, sizeof shown);
            return cli__fail(c, "%s: '%s' is none of: %s; the nearest is %s", label, shown, o->choices, near);
        }
        v->integer |= (int64_t)1 << k;
        if (!text[n]) return CLI_OK;
        text += n + 1;
    }
}

static cli_result set_flag(cli *c, const char *text, cli_origin origin, const char *label, cli_value *v)
{
    static const char yes[] = "true 1 yes on", no[] = "false 0 no off";
    char shown[48];

    if (!text) {
        v->integer = origin == v->origin ? v->integer + 1 : 1;
        return CLI_OK;
    }
    if (cli_find_word(text, strlen(text), yes) >= 0) {
        v->integer = 1;
    } else if (cli_find_word(text, strlen(text), no) >= 0) {
        v->integer = 0;
    } else {
        return cli__fail(c, "%s: '%s' is neither true nor false", label, cli_printable(text, shown, sizeof shown));
    }
    return CLI_OK;
}

cli_result cli__set(cli *c, int i, const char *text, cli_origin origin, const char *label)
{
    cli_value v = c->values[i];
    cli_result rc = CLI_OK;

    switch (c->spec->options[i].kind) {
    case CLI_FLAG: rc = set_flag(c, text, origin, label, &v); break;
    case CLI_INT:
    case CLI_REAL: rc = set_number(c, i, text, label, &v); break;
    case CLI_ENUM: rc = set_choice(c, i, text, label, &v); break;
    case CLI_LIST: rc = set_list(c, i, text, label, &v); break;
    case CLI_TEXT: break;
    }
    if (rc != CLI_OK || v.origin > origin) return rc; /* a weaker source is checked, too */
    v.text = text;
    v.origin = origin;
    c->values[i] = v;
    return CLI_OK;
}

static cli_result unknown_option(cli *c, const char *name, size_t n)
{
    char *words = cli__option_words(c->spec, c->verb), near[MAX_WORD], word[MAX_WORD], shown[MAX_WORD];

    if (!words) return CLI_NO_MEMORY;
    snprintf(word, sizeof word, "%.*s", (int)(n < MAX_WORD ? n : MAX_WORD - 1), name);
    cli_nearest(word, words, near, sizeof near);
    free(words);
    return cli__fail(c, "unknown option --%s; the nearest is --%s", cli_printable(word, shown, sizeof shown), near);
}

/* --name, --name=value, --name value. *used: further arguments taken. */
static cli_result parse_long(cli *c, const char *arg, const char *next, int *used)
{
    size_t n = strcspn(arg + 2, "=");
    const char *value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
    int i = cli__find_option(c->spec, c->verb, arg + 2, n);
    char label[MAX_WORD];

    if (i < 0) return unknown_option(c, arg + 2, n);
    snprintf(label, sizeof label, "--%s", c->spec->options[i].name);
    if (!value && c->spec->options[i].kind != CLI_FLAG) {
        if (!next) return cli__fail(c, "%s needs a value (%s)", label, c->spec->options[i].arg);
        value = next;
        *used = 1;
    }
    return cli__set(c, i, value, CLI_FROM_FLAG, label);
}

static int find_letter(const cli *c, char letter)
{
    int i;
    for (i = 0; i < c->spec->n_options; i++) {
        if (cli__takes(c->spec, c->verb, i) && c->spec->options[i].letter == letter) return i;
    }
    return -1;
}

static cli_result unknown_letter(cli *c, char letter)
{
    char other = (char)(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : lower((unsigned char)letter));
    int i = find_letter(c, other);
    char text[2] = {letter, '\0'}, shown[8];

    cli_printable(text, shown, sizeof shown);
    if (i >= 0) return cli__fail(c, "unknown option -%s; the nearest is -%c (--%s)", shown, other, c->spec->options[i].name);
    for (i = 0; i < c->spec->n_options; i++) {
        if (cli__takes(c->spec, c->verb, i) && c->spec->options[i].name[0] == lower((unsigned char)letter)) {
            return cli__fail(c, "unknown option -%s; the nearest is --%s", shown, c->spec->options[i].name);
        }
    }
    return cli__fail(c, "unknown option -%s; the nearest is -h (--help)", shown);
}

/* -q, -qv, -n5, -n 5. */
static cli_result parse_letters(cli *c, const char *arg, const char *next, int *used)
{
    const char *p;

    for (p = arg + 1; *p; p++) {
        int i = find_letter(c, *p);
        const char *value = NULL;
        char label[4] = {'-', *p, '\0', '\0'};
        cli_result rc;
        if (i < 0) return unknown_letter(c, *p);
        if (c->spec->options[i].kind != CLI_FLAG) {
            value = p[1] ? p + 1 : next;
            if (!value) return cli__fail(c, "%s needs a value (%s)", label, c->spec->options[i].arg);
            *used = !p[1];
        }
        rc = cli__set(c, i, value, CLI_FROM_FLAG, label);
        if (rc != CLI_OK || value) return rc;
    }
    return CLI_OK;
}

static cli_result parse_args(cli *c, int argc, char **argv, int first)
{
    int i, only_args = 0;

    for (i = first; i < argc; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        int used = 0;
        cli_result rc = CLI_OK;
        if (only_args || arg[0] != '-' || !arg[1]) {
            c->args[c->n_args++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            only_args = 1;
        } else if (arg[1] == '-') {
            rc = parse_long(c, arg, next, &used);
        } else {
            rc = parse_letters(c, arg, next, &used);
        }
        if (rc != CLI_OK) return rc;
        if (cli_flag(c, "help")) return CLI_HELP;
        i += used;
    }
    return CLI_OK;
}

static cli_result parse_verb(cli *c, int argc, char **argv, int *first)
{
    char words[512] = "", near[MAX_WORD], shown[48];
    int i;
    size_t n = 0;

    *first = 1;
    if (c->spec->n_verbs == 0 || argc < 2 || argv[1][0] == '-') return CLI_OK;
    for (i = 0; i < c->spec->n_verbs; i++) {
        if (strcmp(argv[1], c->spec->verbs[i].name) == 0) {
            c->verb = i;
            *first = 2;
            return CLI_OK;
        }
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", n ? " " : "", c->spec->verbs[i].name);
        if (n >= sizeof words) n = sizeof words - 1;
    }
    cli_nearest(argv[1], words, near, sizeof near);
    return cli__fail(c, "unknown verb '%s'; the nearest is '%s'", cli_printable(argv[1], shown, sizeof shown), near);
}

/* The environment over every option: LFM2_ARG_*, or each option's own variable. */
static cli_result read_env(cli *c, cli_origin origin)
{
    int i;
    for (i = 0; i < c->spec->n_options; i++) {
        const cli_option *o = &c->spec->options[i];
        char name[MAX_WORD + 16];
        const char *value;
        cli_result rc;
        if ((o->flags & CLI_NO_ENV) || !cli__takes(c->spec, c->verb, i)) continue;
        if (origin == CLI_FROM_ENV) cli__env_name(o->name, name, sizeof name);
        else snprintf(name, sizeof name, "%s", o->env ? o->env : "");
        value = name[0] ? getenv(name) : NULL;
        if (!value) continue;
        rc = cli__set(c, i, value, origin, name);
        if (rc != CLI_OK) return rc;
    }
    return CLI_OK;
}

static cli_result find_config(cli *c)
{
    const char *path = cli_text(c, "config"), *dir = getenv("XDG_CONFIG_HOME"), *tail = "/lfm2/config.toml";
    size_t n;

    if (path) return cli__read_config(c, path, 1);
    if (!dir || dir[0] != '/') {
        dir = getenv("HOME");
        tail = "/.config/lfm2/config.toml";
    }
    if (!dir || !dir[0]) return CLI_OK;
    n = strlen(dir) + strlen(tail) + 1;
    c->default_path = malloc(n);
    if (!c->default_path) return CLI_NO_MEMORY;
    snprintf(c->default_path, n, "%s%s", dir, tail);
    return cli__read_config(c, c->default_path, 0);
}

static cli_result fill(cli *c)
{
    int i;
    cli_result rc = read_env(c, CLI_FROM_ENV);

    if (rc == CLI_OK) rc = find_config(c);
    if (rc == CLI_OK) rc = read_env(c, CLI_FROM_VARIABLE);
    for (i = 0; rc == CLI_OK && i < c->spec->n_options; i++) {
        const cli_option *o = &c->spec->options[i];
        if (o->def && cli__takes(c->spec, c->verb, i)) rc = cli__set(c, i, o->def, CLI_FROM_DEFAULT, o->name);
    }
    return rc;
}

static cli_result check_args(cli *c)
{
    const cli_verb *v;

    if (c->spec->n_verbs == 0) return CLI_OK;
    if (c->verb < 0 && c->n_args > 0) return cli__fail(c, "the verb comes first, then its options");
    if (c->verb < 0) return cli__fail(c, "a verb is missing; see --help");
    v = &c->spec->verbs[c->verb];
    if (c->n_args < v->min_args) return cli__fail(c, "%s needs %s", v->name, v->args);
    if (c->n_args > v->max_args) {
        return cli__fail(c, "%s takes at most %d argument%s outside of options, not %d", v->name, v->max_args,
                         v->max_args == 1 ? "" : "s", c->n_args);
    }
    return CLI_OK;
}

cli_result cli_parse(cli *c, const cli_spec *spec, int argc, char **argv)
{
    cli_result rc;
    int first;

    memset(c, 0, sizeof *c);
    c->spec = spec;
    c->verb = -1;
    c->values = calloc((size_t)spec->n_options, sizeof *c->values);
    c->args = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof *c->args);
    if (!c->values || !c->args) return CLI_NO_MEMORY;

    rc = parse_verb(c, argc, argv, &first);
    if (rc == CLI_OK) rc = parse_args(c, argc, argv, first);
    if (rc == CLI_OK) rc = fill(c);
    if (rc != CLI_OK) return rc;
    if (cli_flag(c, "version")) return CLI_VERSION;
    if (cli_text(c, "completion")) return CLI_COMPLETION;
    if (cli_flag(c, "print-config")) return CLI_PRINT_CONFIG;
    return check_args(c);
}

void cli_fini(cli *c)
{
    free(c->values);
    free(c->args);
    free(c->config);
    free(c->default_path);
    memset(c, 0, sizeof *c);
}

static const cli_value *get(const cli *c, const char *name)
{
    int i = cli__find_option(c->spec, c->verb, name, strlen(name));
    assert(i >= 0);
    return &c->values[i];
}

const char *cli_text(const cli *c, const char *name)
{
    return get(c, name)->text;
}

int64_t cli_int(const cli *c, const char *name)
{
    return get(c, name)->integer;
}

double cli_real(const cli *c, const char *name)
{
    return get(c, name)->real;
}

int cli_flag(const cli *c, const char *name)
{
    return (int)get(c, name)->integer;
}

int cli_is_set(const cli *c, const char *name)
{
    return get(c, name)->origin > CLI_FROM_DEFAULT;
}
