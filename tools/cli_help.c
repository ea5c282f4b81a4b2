/* SPDX-License-Identifier: Apache-2.0
 * What the option table says about itself: help pages, the settings in force, shell completion. */
#include "tools/cli_impl.h"

#include <string.h>

#define WIDTH 100
#define COLUMN 32 /* where descriptions start */

/* Words of text, broken at WIDTH, continued lines at `indent`; the cursor stands at `at`. */
static void wrap(FILE *f, const char *text, int at, int indent)
{
    int first = 1;

    while (*text) {
        size_t n = strcspn(text, " \n");
        if (!first && at + 1 + (int)n > WIDTH) {
            fprintf(f, "\n%*s", indent, "");
            at = indent;
            first = 1;
        }
        fprintf(f, "%s%.*s", first ? "" : " ", (int)n, text);
        at += (int)n + !first;
        first = 0;
        text += n;
        if (*text == '\n') {
            fprintf(f, "\n%*s", indent, "");
            at = indent;
            first = 1;
        }
        if (*text) text++;
    }
    fputc('\n', f);
}

static void describe(const cli_option *o, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "%s", o->help);

    if (n < cap && (o->kind == CLI_INT || o->kind == CLI_REAL)) {
        n += (size_t)snprintf(out + n, cap - n, " (%s%.16g to %.16g)", o->flags & CLI_ABOVE_LO ? "above " : "", o->lo, o->hi);
    }
    if (n < cap && o->choices) n += (size_t)snprintf(out + n, cap - n, " (%s)", o->choices);
    if (n < cap && o->env) n += (size_t)snprintf(out + n, cap - n, " [%s]", o->env);
    if (n < cap && o->def) snprintf(out + n, cap - n, " [default: %s]", o->def);
}

static void print_option(const cli_option *o, FILE *f)
{
    char left[80], text[1024];
    int n;

    if (o->letter) n = snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name);
    else n = snprintf(left, sizeof left, "      --%s", o->name);
    if (o->kind != CLI_FLAG && n > 0 && (size_t)n < sizeof left) snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
    n = (int)strlen(left);
    fputs(left, f);
    if (n > COLUMN - 2) {
        fprintf(f, "\n%*s", COLUMN, "");
    } else {
        fprintf(f, "%*s", COLUMN - n, "");
    }
    describe(o, text, sizeof text);
    wrap(f, text, COLUMN, COLUMN);
}

static void print_options(const cli *c, FILE *f, int shared)
{
    int i;
    for (i = 0; i < c->spec->n_options; i++) {
        const cli_option *o = &c->spec->options[i];
        if (cli__takes(c->spec, c->verb, i) && (o->verbs == 0) == shared) print_option(o, f);
    }
}

void cli_print_help(const cli *c, FILE *f)
{
    const cli_spec *spec = c->spec;
    int i;

    if (c->verb >= 0) {
        const cli_verb *v = &spec->verbs[c->verb];
        fprintf(f, "usage: %s %s [options]%s%s\n\n", spec->tool, v->name, *v->args ? " " : "", v->args);
        wrap(f, v->help, 0, 0);
        if (v->notes) {
            fputc('\n', f);
            wrap(f, v->notes, 0, 0);
        }
        fputs("\nOptions:\n", f);
        print_options(c, f, 0);
        fputs("\nShared options:\n", f);
        print_options(c, f, 1);
        return;
    }
    fprintf(f, "usage: %s %s[options]%s%s\n\n", spec->tool, spec->n_verbs ? "VERB " : "", spec->args ? " " : "",
            spec->args ? spec->args : "");
    wrap(f, spec->summary, 0, 0);
    if (spec->n_verbs) fputs("\nVerbs:\n", f);
    for (i = 0; i < spec->n_verbs; i++) {
        fprintf(f, "  %-14s", spec->verbs[i].name);
        wrap(f, spec->verbs[i].help, 16, 16);
    }
    fputs(spec->n_verbs ? "\nShared options:\n" : "\nOptions:\n", f);
    print_options(c, f, 1);
    if (spec->notes) {
        fputc('\n', f);
        wrap(f, spec->notes, 0, 0);
    }
}

/* As the config file would say it. */
static void print_value(const cli_option *o, const cli_value *v, FILE *f)
{
    const char *p;

    if (o->kind == CLI_FLAG) {
        fputs(v->integer ? "true" : "false", f);
        return;
    }
    if (o->kind == CLI_INT || o->kind == CLI_REAL) {
        fputs(v->text, f);
        return;
    }
    fputc('"', f);
    for (p = v->text; *p; p++) {
        if (*p == '"' || *p == '\\') fputc('\\', f);
        if (*p == '\n') fputs("\\n", f);
        else if (*p == '\t') fputs("\\t", f);
        else fputc(*p, f);
    }
    fputc('"', f);
}

void cli_print_config(const cli *c, FILE *f)
{
    int i;
    char env[80];

    for (i = 0; i < c->spec->n_options; i++) {
        const cli_option *o = &c->spec->options[i];
        const cli_value *v = &c->values[i];
        if (!cli__takes(c->spec, c->verb, i) || (o->flags & CLI_NO_ENV)) continue;
        if (v->origin == CLI_UNSET) {
            fprintf(f, "# %s is not set\n", o->name);
            continue;
        }
        fprintf(f, "%s = ", o->name);
        print_value(o, v, f);
        switch (v->origin) {
        case CLI_FROM_FLAG: fputs(" # flag\n", f); break;
        case CLI_FROM_ENV:
            cli__env_name(o->name, env, sizeof env);
            fprintf(f, " # environment: %s\n", env);
            break;
        case CLI_FROM_CONFIG: fprintf(f, " # file: %s\n", c->config_path); break;
        case CLI_FROM_VARIABLE: fprintf(f, " # environment: %s\n", o->env); break;
        case CLI_FROM_DEFAULT:
        case CLI_UNSET: fputs(" # default\n", f); break;
        }
    }
}

static void print_words(const cli_spec *spec, int verb, FILE *f)
{
    int i;
    for (i = 0; i < spec->n_options; i++) {
        const cli_option *o = &spec->options[i];
        if (!cli__takes(spec, verb, i)) continue;
        fprintf(f, " --%s", o->name);
        if (o->letter) fprintf(f, " -%c", o->letter);
    }
}

void cli_print_completion(const cli_spec *spec, FILE *f)
{
    char fn[64];
    int i;
    char *p;

    snprintf(fn, sizeof fn, "_%s", spec->tool);
    for (p = fn; *p; p++) {
        if (*p == '-') *p = '_';
    }
    fprintf(f, "# bash completion of %s: source this file, or put it into bash-completion's folder.\n%s()\n{\n", spec->tool, fn);
    fputs("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    case $before in\n", f);
    for (i = 0; i < spec->n_options; i++) {
        const cli_option *o = &spec->options[i];
        if (o->kind == CLI_ENUM) fprintf(f, "    --%s) words='%s' ;;\n", o->name, o->choices);
    }
    fputs("    esac\n    if [ -z \"$words\" ]; then\n        case ${COMP_WORDS[1]} in\n", f);
    for (i = 0; i < spec->n_verbs; i++) {
        fprintf(f, "        %s) words='", spec->verbs[i].name);
        print_words(spec, i, f);
        fputs("' ;;\n", f);
    }
    fputs("        *) words='", f);
    for (i = 0; i < spec->n_verbs; i++) fprintf(f, "%s ", spec->verbs[i].name);
    print_words(spec, -1, f);
    fprintf(f, "' ;;\n        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
               "complete -o default -F %s %s\n", fn, spec->tool);
}
