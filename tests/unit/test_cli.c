/* SPDX-License-Identifier: Apache-2.0
 * The option engine and JSON results of the commands. */
#include "base_testing.h"
#include "file_testing.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/json_out.h"

#define RUN 1u
#define SHOW 2u

static const cli_verb verbs[] = {
    {"run", "IN", 1, 2, "Run a thing.", "More about running."},
    {"show", "", 0, 0, "Show a thing.", NULL},
};

static const cli_option options[] = {
    {"help", 'h', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Help."},
    {"version", 'V', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Version."},
    {"print-config", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Settings."},
    {"completion", 0, CLI_ENUM, "SHELL", 0, 0, "bash", NULL, NULL, CLI_NO_ENV, 0, "Completion."},
    {"config", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0, "Config file."},
    {"verbose", 'v', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0, "Say more."},
    {"model", 'm', CLI_TEXT, "PATH", 0, 0, NULL, NULL, "TEST_MODEL", 0, 0, "Model."},
    {"max-tokens", 'n', CLI_INT, "N", 1, 1000, NULL, "512", NULL, 0, RUN, "Tokens."},
    {"temp", 0, CLI_REAL, "T", 0, 100, NULL, NULL, NULL, 0, RUN, "Temperature."},
    {"top-p", 0, CLI_REAL, "P", 0, 1, NULL, "1", NULL, CLI_ABOVE_LO, RUN, "Top p."},
    {"type", 0, CLI_ENUM, "TYPE", 0, 0, "F32 F16 Q4_0", "F16", NULL, 0, RUN, "Type."},
    {"format", 0, CLI_LIST, "LIST", 0, 0, "text json hocr", "text", NULL, 0, RUN, "Formats."},
    {"prompt", 'p', CLI_TEXT, "TEXT", 0, 0, NULL, NULL, NULL, 0, RUN, "Prompt."},
    {"prompt", 0, CLI_INT, "N", 1, 99, NULL, "5", NULL, 0, SHOW, "Prompt length."},
    {"seed", 0, CLI_INT, "N", 0, 9007199254740992.0, NULL, "0", NULL, 0, RUN, "Seed."},
};

static const cli_spec spec = {"lfm2-test", "A tool for tests.", verbs, 2, options, sizeof options / sizeof options[0],
                              "Last words.", NULL};

static char folder[64];

static void clean_env(void)
{
    static const char *const names[] = {"LFM2_ARG_TEMP", "LFM2_ARG_MAX_TOKENS", "LFM2_ARG_VERBOSE", "LFM2_ARG_CONFIG",
                                        "LFM2_ARG_MODEL", "LFM2_ARG_TYPE", "LFM2_ARG_HELP", "TEST_MODEL", "HOME"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
}

#define MAX_ARGV 16

/* Parse "run a --temp 1" (split at blanks). */
static cli_result parse(cli *c, char *line)
{
    static char *argv[MAX_ARGV]; /* borrowed by c */
    int argc = 1;
    char *p;

    argv[0] = line; /* never looked at */
    for (p = strtok(line, " "); p && argc < MAX_ARGV; p = strtok(NULL, " ")) argv[argc++] = p;
    return cli_parse(c, &spec, argc, argv);
}

static void expect_error(const char *line, const char *part)
{
    char text[256];
    cli c;

    snprintf(text, sizeof text, "%s", line);
    assert_int_equal(parse(&c, text), CLI_ERROR);
    if (!strstr(c.error, part)) fail_msg("'%s' gave '%s', expected '%s'", line, c.error, part);
    assert_null(strchr(c.error, '\n'));
    cli_fini(&c);
}

static void test_values(void **state)
{
    char line[] = "run in --temp=0.5 --max-tokens 7 -p - --seed 9007199254740992 -vv --type q4_0 out";
    cli c;
    (void)state;

    clean_env();
    assert_int_equal(parse(&c, line), CLI_OK);
    assert_int_equal(c.verb, 0);
    assert_int_equal(c.n_args, 2);
    assert_string_equal(c.args[0], "in");
    assert_string_equal(c.args[1], "out");
    assert_true(cli_real(&c, "temp") == 0.5);
    assert_int_equal(cli_int(&c, "max-tokens"), 7);
    assert_string_equal(cli_text(&c, "prompt"), "-");
    assert_true(cli_int(&c, "seed") == INT64_C(9007199254740992));
    assert_int_equal(cli_flag(&c, "verbose"), 2);
    assert_int_equal(cli_int(&c, "type"), 2);
    assert_true(cli_is_set(&c, "temp"));
    assert_false(cli_is_set(&c, "top-p"));
    assert_true(cli_real(&c, "top-p") == 1);
    assert_null(cli_text(&c, "model"));
    cli_fini(&c);
    cli_fini(&c);
}

static void test_letters_and_end_of_options(void **state)
{
    char line[] = "run -vn5 -mthere -- --temp -v";
    char flags[] = "run in --verbose=false";
    char same_name[] = "show --prompt 7";
    char dash_value[] = "run in -p --temp";
    cli c;
    (void)state;

    clean_env();
    assert_int_equal(parse(&c, line), CLI_OK);
    assert_int_equal(cli_int(&c, "max-tokens"), 5);
    assert_string_equal(cli_text(&c, "model"), "there");
    assert_int_equal(cli_flag(&c, "verbose"), 1);
    assert_int_equal(c.n_args, 2);
    assert_string_equal(c.args[0], "--temp");
    assert_string_equal(c.args[1], "-v");
    cli_fini(&c);

    assert_int_equal(parse(&c, flags), CLI_OK);
    assert_int_equal(cli_flag(&c, "verbose"), 0);
    cli_fini(&c);

    assert_int_equal(parse(&c, same_name), CLI_OK);
    assert_int_equal(cli_int(&c, "prompt"), 7);
    cli_fini(&c);

    assert_int_equal(parse(&c, dash_value), CLI_OK);
    assert_string_equal(cli_text(&c, "prompt"), "--temp");
    cli_fini(&c);
}

static void test_errors_name_the_nearest(void **state)
{
    (void)state;
    clean_env();
    expect_error("runn in", "unknown verb 'runn'; the nearest is 'run'");
    expect_error("run in --tmep 1", "unknown option --tmep; the nearest is --temp");
    expect_error("run in --max-tok 1", "the nearest is --max-tokens");
    expect_error("run in --max_tokens 1", "the nearest is --max-tokens");
    expect_error("run in --xyzzy", "unknown option --xyzzy; the nearest is --");
    expect_error("show --temp 1", "unknown option --temp; the nearest is --");
    expect_error("run in -N 5", "unknown option -N; the nearest is -n (--max-tokens)");
    expect_error("run in -t 5", "unknown option -t; the nearest is --temp");
    expect_error("run in -z", "unknown option -z; the nearest is -h (--help)");
    expect_error("run in --type Q4_1", "the nearest is Q4_0");
    expect_error("run in --type=", "is none of: F32 F16 Q4_0");
    expect_error("run in --verbose=maybe", "'maybe' is neither true nor false");
    expect_error("", "a verb is missing");
    expect_error("-v run in", "the verb comes first");
    expect_error("run", "run needs IN");
    expect_error("run a b c", "at most 2 arguments outside of options, not 3");
    expect_error("show a", "at most 0 arguments outside of options, not 1");
    expect_error("run in --temp", "--temp needs a value (T)");
    expect_error("run in -n", "-n needs a value (N)");
}

static void test_numbers_are_refused_not_clipped(void **state)
{
    static const char *const bad_int[] = {"0", "1001", "-1", "5x", "x", "1.5", "99999999999999999999", "0x10", "+", "-", "5,0"};
    static const char *const bad_real[] = {"-0.1", "100.5", "nan", "inf", "-inf", "1e999", "x", "1,5", "0.5x", ".", "0x10", "+inf",
                                           "e"};
    char line[128];
    size_t i;
    (void)state;

    clean_env();
    for (i = 0; i < sizeof bad_int / sizeof bad_int[0]; i++) {
        snprintf(line, sizeof line, "run in --max-tokens %s", bad_int[i]);
        expect_error(line, "--max-tokens: ");
    }
    for (i = 0; i < sizeof bad_real / sizeof bad_real[0]; i++) {
        snprintf(line, sizeof line, "run in --temp %s", bad_real[i]);
        expect_error(line, "--temp: ");
    }
    expect_error("run in --temp 101", "101 is out of range (0 to 100)");
    expect_error("run in --top-p 0", "0 is out of range (above 0 to 1)");
    expect_error("run in --seed 9007199254740994", "out of range (0 to 9007199254740992)");
    expect_error("run in --max-tokens=", "is not a whole number (1 to 1000)");
}

static void test_environment(void **state)
{
    char plain[] = "run in", flag[] = "run in --temp 3";
    cli c;
    (void)state;

    clean_env();
    setenv("LFM2_ARG_TEMP", "2", 1);
    setenv("LFM2_ARG_VERBOSE", "true", 1);
    setenv("LFM2_ARG_HELP", "true", 1); /* never from the environment */
    setenv("TEST_MODEL", "weak", 1);
    assert_int_equal(parse(&c, plain), CLI_OK);
    assert_true(cli_real(&c, "temp") == 2);
    assert_int_equal(cli_flag(&c, "verbose"), 1);
    assert_string_equal(cli_text(&c, "model"), "weak");
    assert_true(cli_is_set(&c, "model"));
    cli_fini(&c);

    setenv("LFM2_ARG_MODEL", "strong", 1);
    assert_int_equal(parse(&c, flag), CLI_OK);
    assert_true(cli_real(&c, "temp") == 3);
    assert_string_equal(cli_text(&c, "model"), "strong");
    cli_fini(&c);

    setenv("LFM2_ARG_TEMP", "200", 1);
    expect_error("run in", "LFM2_ARG_TEMP: 200 is out of range");
    expect_error("run in --temp 1", "LFM2_ARG_TEMP: 200 is out of range"); /* bad values are found even when overruled */
    setenv("LFM2_ARG_TEMP", "1", 1);
    setenv("LFM2_ARG_TYPE", "Q9", 1);
    expect_error("run in", "LFM2_ARG_TYPE: 'Q9' is none of");
    clean_env();
}

static void write_config(const char *text, size_t n)
{
    write_file_in(folder, "lfm2/config.toml", text, n);
    setenv("XDG_CONFIG_HOME", folder, 1);
}

static void expect_config_error(const char *text, const char *part)
{
    write_config(text, strlen(text));
    expect_error("run in", part);
}

static void test_config_file(void **state)
{
    static const char good[] = "# settings\r\nmodel = \"a \\\"b\\\"\\\\\" # why\n\n[lfm2-other]\nwhatever = 1\n"
                               "[ lfm2-x ]\n[lfm2-test]\nmax_tokens = 9\ntemp=4.5\nverbose = true\ntype = 'Q4_0'";
    static const char sections[] = "model = 'm'\n[lfm2-other]\nwhatever = 1\n[lfm2-test]\nmax_tokens = 9\n  temp=4.5\n"
                                   "verbose = true\r\ntype = 'Q4_0' # end";
    char plain[] = "run in", flag[] = "run in --temp 3", other[] = "show", missing[] = "run in --config /nonexistent/c";
    char folder_line[128];
    cli c;
    (void)state;

    clean_env();
    write_config(good, sizeof good - 1);
    expect_error("run in", "line 6: unknown section");
    write_config(sections, sizeof sections - 1);
    assert_int_equal(parse(&c, plain), CLI_OK);
    assert_string_equal(cli_text(&c, "model"), "m");
    assert_int_equal(cli_int(&c, "max-tokens"), 9);
    assert_true(cli_real(&c, "temp") == 4.5);
    assert_int_equal(cli_flag(&c, "verbose"), 1);
    assert_int_equal(cli_int(&c, "type"), 2);
    cli_fini(&c);

    setenv("LFM2_ARG_MAX_TOKENS", "8", 1);
    setenv("TEST_MODEL", "weak", 1);
    assert_int_equal(parse(&c, flag), CLI_OK);
    assert_true(cli_real(&c, "temp") == 3);
    assert_int_equal(cli_int(&c, "max-tokens"), 8);
    assert_string_equal(cli_text(&c, "model"), "m");
    cli_fini(&c);
    unsetenv("LFM2_ARG_MAX_TOKENS");

    assert_int_equal(parse(&c, other), CLI_OK); /* keys of other verbs are no error */
    cli_fini(&c);

    write_config("model = \"a \\\"b\\\"\\\\ \\t#\" # why", 29);
    assert_int_equal(parse(&c, strcpy(plain, "run x")), CLI_OK);
    assert_string_equal(cli_text(&c, "model"), "a \"b\"\\ \t#");
    cli_fini(&c);

    expect_config_error("temp 4", "line 1: not `key = value`");
    expect_config_error("\n= 4", "line 2: not `key = value`");
    expect_config_error("temp = 4 5", "line 1: the value is neither");
    expect_config_error("temp = ", "line 1: the value is neither");
    expect_config_error("temp = \"4", "line 1: the value is neither");
    expect_config_error("temp = '4", "line 1: the value is neither");
    expect_config_error("temp = \"4\\q\"", "line 1: the value is neither");
    expect_config_error("temp = 400", "temp: 400 is out of range");
    expect_config_error("tmep = 4", "line 1: unknown option 'tmep'; the nearest is 'temp'");
    expect_config_error("help = true", "unknown option 'help'");
    expect_config_error("[other]", "unknown section");
    expect_config_error("[lfm2-test", "unknown section");
    write_config("temp\0= 4", 8);
    expect_error("run in", "holds a NUL byte");

    assert_int_equal(parse(&c, missing), CLI_ERROR);
    assert_non_null(strstr(c.error, "/nonexistent/c: No such file"));
    cli_fini(&c);
    snprintf(folder_line, sizeof folder_line, "run in --config %s", folder);
    expect_error(folder_line, "not a regular file");
    clean_env();
}

static void read_back(void (*print)(const cli *, FILE *), const cli *c, char *out, size_t cap)
{
    FILE *f = tmpfile();
    size_t n;

    assert_non_null(f);
    print(c, f);
    rewind(f);
    n = fread(out, 1, cap - 1, f);
    out[n] = '\0';
    assert_int_equal(fclose(f), 0);
}

static void print_completion(const cli *c, FILE *f)
{
    cli_print_completion(c->spec, f);
}

static void test_pages(void **state)
{
    char help[] = "run -h --nonsense", top[] = "--help", version[] = "-V", config[] = "run --print-config --temp 2 -m a\"b";
    char complete[] = "--completion bash", text[8192];
    cli c;
    (void)state;

    clean_env();
    assert_int_equal(parse(&c, help), CLI_HELP);
    read_back(cli_print_help, &c, text, sizeof text);
    assert_non_null(strstr(text, "usage: lfm2-test run [options] IN\n"));
    assert_non_null(strstr(text, "More about running."));
    assert_non_null(strstr(text, "-n, --max-tokens N"));
    assert_non_null(strstr(text, "Tokens. (1 to 1000) [default: 512]"));
    assert_non_null(strstr(text, "Top p. (above 0 to 1) [default: 1]"));
    assert_non_null(strstr(text, "Type. (F32 F16 Q4_0) [default: F16]"));
    assert_non_null(strstr(text, "Model. [TEST_MODEL]"));
    cli_fini(&c);

    assert_int_equal(parse(&c, top), CLI_HELP);
    read_back(cli_print_help, &c, text, sizeof text);
    assert_non_null(strstr(text, "  run           Run a thing.\n"));
    assert_non_null(strstr(text, "Last words."));
    assert_null(strstr(text, "--temp"));
    cli_fini(&c);

    assert_int_equal(parse(&c, version), CLI_VERSION);
    cli_fini(&c);

    setenv("TEST_MODEL", "weak", 1);
    assert_int_equal(parse(&c, config), CLI_PRINT_CONFIG);
    read_back(cli_print_config, &c, text, sizeof text);
    assert_non_null(strstr(text, "model = \"a\\\"b\" # flag\n"));
    assert_non_null(strstr(text, "temp = 2 # flag\n"));
    assert_non_null(strstr(text, "max-tokens = 512 # default\n"));
    assert_non_null(strstr(text, "# prompt is not set\n"));
    assert_null(strstr(text, "help"));
    cli_fini(&c);

    assert_int_equal(parse(&c, complete), CLI_COMPLETION);
    read_back(print_completion, &c, text, sizeof text);
    assert_non_null(strstr(text, "complete -o default -F _lfm2_test lfm2-test"));
    assert_non_null(strstr(text, "--type) words='F32 F16 Q4_0' ;;"));
    cli_fini(&c);
    clean_env();
}

static void test_printable(void **state)
{
    char out[16];
    (void)state;
    assert_string_equal(cli_printable("a\nb\x1b[0m\x7f", out, sizeof out), "a?b?[0m?");
    assert_string_equal(cli_printable("0123456789abcdefgh", out, sizeof out), "0123456789ab...");
    assert_string_equal(cli_printable("0123456789abcde", out, sizeof out), "0123456789abcde");
}

static void test_json(void **state)
{
    json_out j = {0};
    int i;
    (void)state;

    json_begin_object(&j, NULL);
    json_put_text(&j, "a", "x\"\\\n\t\r\x01\xc3\xa9");
    json_put_text_n(&j, "bad", "a\xff" "b\xe2\x82", 5);
    json_put_text(&j, "none", NULL);
    json_put_int(&j, "i", INT64_MIN);
    json_put_real(&j, "r", 0.1);
    json_put_real(&j, "big", 1e300);
    json_put_real(&j, "nan", NAN);
    json_put_bool(&j, "t", 2);
    json_put_bool(&j, "f", 0);
    json_begin_array(&j, "l");
    json_put_int(&j, NULL, 1);
    json_begin_object(&j, NULL);
    json_end_object(&j);
    json_begin_array(&j, NULL);
    json_end_array(&j);
    json_put_null(&j, NULL);
    json_end_array(&j);
    json_end_object(&j);
    assert_int_equal(json_finish(&j), 0);
    assert_string_equal(j.data, "{\"a\":\"x\\\"\\\\\\n\\t\\r\\u0001\xc3\xa9\",\"bad\":\"a\xef\xbf\xbd" "b\xef\xbf\xbd\","
                                "\"none\":null,"
                                "\"i\":-9223372036854775808,\"r\":0.1,\"big\":1e+300,\"nan\":null,\"t\":true,\"f\":false,"
                                "\"l\":[1,{},[],null]}\n");
    json_fini(&j);

    for (i = 0; i < JSON_OUT_MAX_DEPTH; i++) json_begin_array(&j, NULL); /* one too deep */
    assert_int_equal(json_finish(&j), -1);
    json_fini(&j);
    json_begin_array(&j, NULL); /* left open */
    assert_int_equal(json_finish(&j), -1);
    json_fini(&j);
    json_end_array(&j); /* never opened */
    assert_int_equal(json_finish(&j), -1);
    json_fini(&j);
}

static void test_json_long_text(void **state)
{
    json_out j = {0};
    char text[1001];
    size_t i;
    (void)state;

    /* two-byte characters, so that pieces of even size that start at an odd place cut them */
    text[0] = 'a';
    for (i = 1; i < 1001; i += 2) memcpy(text + i, "\xc3\xa9", 2);
    json_put_text_n(&j, NULL, text, 1001);
    assert_int_equal(json_finish(&j), 0);
    assert_int_equal(j.n, 1001 + 3);
    assert_memory_equal(j.data + 1, text, 1001);
    json_fini(&j);
}

static void test_lists(void **state)
{
    static const struct {
        const char *text;
        int64_t bits; /* 0 = refused */
    } tries[] = {{"text", 1}, {"json,text", 3}, {"HOCR,hocr", 4}, {"text,json,hocr", 7}, {"", 0}, {"text,", 0}, {",json", 0},
                 {"text json", 0}, {"jsn", 0}, {"text,hcor", 0}};
    cli c;
    size_t i;
    (void)state;

    clean_env();
    for (i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char format[40];
        char *all[] = {"lfm2-test", "run", format, "a", NULL};
        snprintf(format, sizeof format, "--format=%s", tries[i].text);
        assert_int_equal(cli_parse(&c, &spec, 4, all), tries[i].bits ? CLI_OK : CLI_ERROR);
        if (tries[i].bits) assert_int_equal(cli_int(&c, "format"), tries[i].bits);
        else assert_non_null(strstr(c.error, "none of: text json hocr; the nearest is"));
        cli_fini(&c);
    }
}

static int setup(void **state)
{
    char path[128];
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/lfm2", folder);
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/lfm2", folder);
    remove_folder(path);
    remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_letters_and_end_of_options),
        cmocka_unit_test(test_errors_name_the_nearest),
        cmocka_unit_test(test_numbers_are_refused_not_clipped),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_printable),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_long_text),
    };
    return cmocka_run_group_tests_name("cli", tests, setup, teardown);
}
